CREATE TABLE pr0 AS SELECT * FROM read_json('profiles.ndjson.gz', format='newline_delimited', columns={id:'VARCHAR',country:'VARCHAR',age:'DECIMAL(18,6)',ltv:'DECIMAL(18,6)',vip:'BOOLEAN',tags:'VARCHAR[]',birthday:'DATE',signed_up_at:'TIMESTAMP',renews_at:'TIMESTAMP'});
CREATE TABLE ev AS SELECT *, "event" AS name, epoch_ms(epoch_ms("at")) AS t, now FROM read_json('events.ndjson.gz', format='newline_delimited', columns={id:'VARCHAR',event:'VARCHAR',"at":'TIMESTAMP',category:'VARCHAR',product:'BIGINT',amount:'DECIMAL(18,9)',q:'VARCHAR',fresh:'BOOLEAN',gift:'BOOLEAN',items:'VARCHAR[]',ship:'DATE'}), (SELECT timestamp '2025-03-31 12:00' AS now);
CREATE TABLE pr AS SELECT * REPLACE (CASE WHEN len(tags)=0 THEN NULL ELSE tags END AS tags) FROM pr0;
-- the events up to noon of 31 March 2025
CREATE TABLE e AS SELECT * FROM ev WHERE t<=now;
