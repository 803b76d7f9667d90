CREATE TABLE demo AS SELECT * FROM read_csv('demographics.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE buy AS SELECT household_id AS id, transaction_timestamp::TIMESTAMP AS t, store_id::BIGINT AS store, basket_id::BIGINT AS basket, product_id AS product, quantity::BIGINT AS q,
  sales_value::DECIMAL(18,6) AS v, retail_disc::DECIMAL(18,6) AS disc, coupon_disc::DECIMAL(18,6) AS cdisc, week::BIGINT AS week FROM read_csv('transactions_sample.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE red AS SELECT household_id AS id, redemption_date::TIMESTAMP AS t, coupon_upc::BIGINT AS upc, campaign_id AS campaign FROM read_csv('coupon_redemptions.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE camp AS SELECT campaign_id AS campaign, household_id AS id, row_number() OVER () AS line FROM read_csv('campaigns.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE what AS SELECT campaign_id AS id, campaign_type AS kind, start_date::DATE AS start_date, end_date::DATE AS end_date FROM read_csv('campaign_descriptions.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE coupon AS SELECT coupon_upc AS id, product_id AS product, campaign_id AS campaign, row_number() OVER () AS line FROM read_csv('coupons.csv.gz', header=true, all_varchar=true, nullstr='');
CREATE TABLE pr AS SELECT i.id, d.* EXCLUDE (household_id), c.campaign, w.* EXCLUDE (id), k.product, k.campaign AS listed
  FROM (SELECT id FROM buy UNION SELECT id FROM red UNION SELECT household_id FROM demo UNION SELECT id FROM camp UNION SELECT id FROM what UNION SELECT id FROM coupon) i
  LEFT JOIN demo d ON d.household_id = i.id LEFT JOIN (SELECT id, max_by(campaign, line) AS campaign FROM camp GROUP BY id) c ON c.id = i.id LEFT JOIN what w ON w.id = i.id
  LEFT JOIN (SELECT id, max_by(product, line) AS product, max_by(campaign, line) AS campaign FROM coupon GROUP BY id) k ON k.id = i.id;
