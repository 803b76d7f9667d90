CREATE TABLE ev AS SELECT "user" AS id, event AS name, epoch_ms(ts::BIGINT * 1000) AS t, repo, component, change::BIGINT AS change, tz, subject_len::BIGINT AS sl, body_lines::BIGINT AS bl
  FROM read_csv('events.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE pr AS SELECT "user" AS id, email_domain AS dom, first_ts::BIGINT AS first_ts FROM read_csv('users.csv.gz', header=true, all_varchar=true, nullstr='');
