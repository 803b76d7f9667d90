CREATE TABLE raw AS SELECT *, row_number() OVER () AS line FROM read_csv('online_retail.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE ev AS SELECT CustomerID AS id, InvoiceDate::TIMESTAMP AS t, InvoiceNo AS inv, StockCode AS sku, Description AS descr,
  Quantity::BIGINT AS q, UnitPrice::DECIMAL(18,6) AS p, Country AS country, line FROM raw WHERE CustomerID IS NOT NULL;
CREATE TABLE pr AS SELECT id, max_by(country, line) FILTER (country IS NOT NULL) AS country FROM ev GROUP BY id;
