-- loc: the local time in zone z at the UTC instant t. utc: the UTC instant of the local time l.
CREATE MACRO loc(t, z) AS timezone(z, timezone('UTC', t));
CREATE MACRO utc(l, z) AS timezone('UTC', timezone(z, l));
-- ts: an instant in the form of answers.
CREATE MACRO ts(t) AS CASE WHEN epoch_ms(t) % 1000 = 0 THEN strftime(t, '%Y-%m-%dT%H:%M:%SZ') ELSE regexp_replace(strftime(t, '%Y-%m-%dT%H:%M:%S.%g'), '0+$', '') || 'Z' END;
