CREATE TABLE ev AS SELECT json->>'$.actor.login' AS id, json->>'$.type' AS name, epoch_ms(epoch_ms((json->>'$.created_at')::TIMESTAMP)) AS t, json AS j
  FROM read_ndjson_objects(['2015-01-01-0.json.gz', '2015-01-01-1.json.gz'], maximum_object_size=33554432);
CREATE TABLE pr AS SELECT DISTINCT id FROM ev;
