package bench

// attributeQuestions use only attributes.
func attributeQuestions() []Question {
	return []Question{
		{
			Name: "two attributes and", Goal: 200,
			MQL:     `count where country = "BR" and plan = "pro"`,
			SQL:     `SELECT count(*) FROM u WHERE country = 'BR' AND plan = 'pro'`,
			Touches: []Touch{{Attribute: "country", Values: 1}, {Attribute: "plan", Values: 1}},
		},
		{
			Name: "attribute mix: in, between, or", Goal: 50,
			MQL:     `count where country in ("US", "BR", "IN") and age between 25 and 34 or plan = "enterprise" and ltv > 200`,
			SQL:     `SELECT count(*) FROM u WHERE country IN ('US', 'BR', 'IN') AND age BETWEEN 25 AND 34 OR plan = 'enterprise' AND ltv > 200`,
			Touches: []Touch{{Attribute: "country", Values: 3}, {Attribute: "age"}, {Attribute: "plan", Values: 1}, {Attribute: "ltv"}},
		},
	}
}

// countQuestions count or sum the events of one name.
func countQuestions() []Question {
	return []Question{
		{
			Name: "did X in last 7 days", Goal: 150,
			MQL:     `count where did "Order Completed" in last 7 days`,
			SQL:     `SELECT count(DISTINCT id) FROM e WHERE event = 'Order Completed' AND ts > @7d AND ts <= @0d`,
			Touches: []Touch{{Event: "Order Completed", From: 7}},
		},
		{
			Name: "did X ≥ 3 in last 30 days", Goal: 120,
			MQL: `count where did "Order Completed" at least 3 times in last 30 days`,
			SQL: `SELECT count(*) FROM (SELECT id FROM e WHERE event = 'Order Completed' AND ts > @30d AND ts <= @0d
				GROUP BY id HAVING count(*) >= 3)`,
			Touches: []Touch{{Event: "Order Completed", From: 30}},
		},
		{
			Name: "sum(amount) of X > 200", Goal: 60,
			MQL:     `count where sum(amount) of "Order Completed" > 200`,
			SQL:     `SELECT count(*) FROM (SELECT id FROM e WHERE event = 'Order Completed' GROUP BY id HAVING sum(amount) > 200)`,
			Touches: []Touch{{Event: "Order Completed", Columns: []string{"amount"}}},
		},
	}
}

// mixedQuestions combine events with attributes.
func mixedQuestions() []Question {
	return []Question{
		{
			Name: "X ≥ 2 with property filters in 30 days, country, not Y in 1 day", Goal: 100,
			MQL: `count where did "Product Viewed" where (amount > 50 and category in ("shoes", "bags")) at least 2 times in last 30 days
				and country = "US" and did not "Order Completed" in last 1 day`,
			SQL: `SELECT count(*) FROM (SELECT id FROM e WHERE event = 'Product Viewed' AND ts > @30d AND ts <= @0d
				AND amount > 50 AND category IN ('shoes', 'bags') GROUP BY id HAVING count(*) >= 2) x
				SEMI JOIN (SELECT id FROM u WHERE country = 'US') c USING (id)
				ANTI JOIN (SELECT id FROM e WHERE event = 'Order Completed' AND ts > @1d AND ts <= @0d) y USING (id)`,
			ClickHouse: `SELECT count() FROM (SELECT id FROM e WHERE event = 'Product Viewed' AND ts > @30d AND ts <= @0d
				AND amount > 50 AND category IN ('shoes', 'bags') GROUP BY id HAVING count() >= 2)
				WHERE id IN (SELECT id FROM u WHERE country = 'US')
				AND id NOT IN (SELECT id FROM e WHERE event = 'Order Completed' AND ts > @1d AND ts <= @0d)`,
			Touches: []Touch{{Event: "Product Viewed", From: 30, Columns: []string{"amount", "category"}},
				{Attribute: "country", Values: 1}, {Event: "Order Completed", From: 1}},
		},
		{
			Name: "X ≥ 3 in 30 days by country", Goal: 60,
			MQL: `count where did "Product Viewed" at least 3 times in last 30 days by country`,
			SQL: `SELECT country, count(*) FROM (SELECT id FROM e WHERE event = 'Product Viewed' AND ts > @30d AND ts <= @0d
				GROUP BY id HAVING count(*) >= 3) x JOIN u USING (id) GROUP BY country`,
			Touches: []Touch{{Event: "Product Viewed", From: 30}, {Attribute: "country"}},
		},
		{
			Name: "not free and never X", Goal: 150,
			MQL:        `count where plan != "free" and did not "Product Viewed"`,
			SQL:        `SELECT count(*) FROM u ANTI JOIN (SELECT id FROM e WHERE event = 'Product Viewed') x USING (id) WHERE plan <> 'free'`,
			ClickHouse: `SELECT count() FROM u WHERE plan <> 'free' AND id NOT IN (SELECT id FROM e WHERE event = 'Product Viewed')`,
			Touches:    []Touch{{Attribute: "plan", Values: 1}, {Event: "Product Viewed", Ever: true}},
		},
	}
}

// sequenceQuestions depend on the order or the days of events.
func sequenceQuestions() []Question {
	return []Question{
		{
			Name: "A in 7 days with no later B within 1 day", Goal: 60,
			MQL: `count where did "Product Added" then not "Order Completed" within 1 day in last 7 days`,
			SQL: `SELECT count(DISTINCT a.id) FROM (SELECT id, ts FROM e WHERE event = 'Product Added' AND ts > @7d AND ts <= @1d) a
				ASOF LEFT JOIN (SELECT id, ts FROM e WHERE event = 'Order Completed' AND ts > @7d AND ts <= @0d) b
				ON a.id = b.id AND a.ts < b.ts WHERE b.ts IS NULL OR b.ts > a.ts + INTERVAL 1 DAY`,
			ClickHouse: `SELECT uniqExact(a.id) FROM (SELECT id, ts FROM e WHERE event = 'Product Added' AND ts > @7d AND ts <= @1d) a
				ASOF LEFT JOIN (SELECT id, ts FROM e WHERE event = 'Order Completed' AND ts > @7d AND ts <= @0d) b
				ON a.id = b.id AND a.ts < b.ts WHERE b.id = 0 AND b.ts = 0 OR b.ts > a.ts + INTERVAL 1 DAY`,
			Touches: []Touch{{Event: "Product Added", From: 7, To: 1, Times: true}, {Event: "Order Completed", From: 7, Times: true}},
		},
		{
			Name: "union of two windows", Goal: 60,
			MQL: `count where did "Email Clicked" in last 7 days or did "Email Clicked" between 23 and 30 days ago`,
			SQL: `SELECT count(DISTINCT id) FROM e WHERE event = 'Email Clicked'
				AND (ts > @7d AND ts <= @0d OR ts > @30d AND ts <= @23d)`,
			Touches: []Touch{{Event: "Email Clicked", From: 7}, {Event: "Email Clicked", From: 30, To: 23}},
		},
		{
			Name: "distinct profiles per day, 90 days", Goal: 80,
			MQL:     `trend "App Opened" in last 90 days by day of users`,
			SQL:     `SELECT CAST(ts AS DATE) AS d, count(DISTINCT id) FROM e WHERE event = 'App Opened' AND ts > @90d AND ts <= @0d GROUP BY d`,
			Touches: []Touch{{Event: "App Opened", From: 90, Times: true}},
		},
	}
}
