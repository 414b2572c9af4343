-- Statements that must give what one DuckDB gives. One a line; "!" marks that only names, types and row count agree.
SELECT * FROM payments JOIN people USING (account_id) ORDER BY ALL
SELECT p.payment_id, q.name FROM payments p LEFT JOIN people q ON p.account_id = q.account_id ORDER BY 1, 2
SELECT p.payment_id, q.name FROM payments p RIGHT JOIN people q ON p.account_id = q.account_id AND p.amount > 20 ORDER BY ALL
SELECT p.payment_id, q.name FROM payments p FULL JOIN people q USING (account_id) ORDER BY ALL
SELECT count(*) FROM payments CROSS JOIN people
SELECT count(*) FROM payments, people, "order"
SELECT count(*) FROM payments p, people q WHERE p.account_id < q.account_id
SELECT payment_id FROM payments SEMI JOIN people USING (account_id) ORDER BY 1
SELECT payment_id FROM payments p ANTI JOIN people q ON p.account_id = q.account_id AND q.tier = 'gold' ORDER BY 1
SELECT name FROM people SEMI JOIN payments USING (account_id) ORDER BY 1
SELECT p.payment_id, r.rate FROM payments p ASOF JOIN rates r ON p.channel = r.channel AND p.booked_at >= r.valid_from ORDER BY ALL
SELECT p.payment_id, r.rate FROM payments p ASOF LEFT JOIN rates r ON p.channel = r.channel AND p.booked_at >= r.valid_from ORDER BY ALL
SELECT p.payment_id, q.name FROM payments p POSITIONAL JOIN people q ORDER BY ALL
SELECT a.payment_id, q.name FROM (SELECT * FROM payments ORDER BY payment_id DESC) a POSITIONAL JOIN people q ORDER BY ALL
SELECT * FROM people NATURAL JOIN payments ORDER BY ALL
SELECT account_id, tier FROM people NATURAL LEFT JOIN (SELECT account_id FROM payments) ORDER BY ALL
SELECT name FROM people p WHERE EXISTS (SELECT 1 FROM payments q WHERE q.account_id = p.account_id AND q.amount > 60) ORDER BY 1
SELECT name FROM people p WHERE NOT EXISTS (FROM payments q WHERE q.account_id = p.account_id) ORDER BY 1
SELECT name FROM people WHERE account_id IN (SELECT account_id FROM payments WHERE amount > 50) ORDER BY 1
SELECT name FROM people WHERE account_id NOT IN (SELECT account_id FROM payments WHERE amount > 50 AND account_id IS NOT NULL) ORDER BY 1
SELECT name FROM people WHERE account_id NOT IN (SELECT account_id FROM payments) ORDER BY 1
SELECT name FROM people WHERE account_id = ANY (SELECT account_id FROM payments WHERE settled) ORDER BY 1
SELECT name FROM people WHERE income > ALL (SELECT amount FROM payments WHERE amount IS NOT NULL) ORDER BY 1
SELECT name, (SELECT max(amount) FROM payments p WHERE p.account_id = q.account_id) FROM people q ORDER BY ALL
SELECT name, (SELECT max(amount) FROM transactions.payments p WHERE p.account_id = people.account_id) + 1 FROM people ORDER BY ALL
SELECT (SELECT count(*) FROM people), (SELECT sum(amount) FROM payments)
SELECT name, EXISTS (FROM payments p WHERE p.account_id = q.account_id) FROM people q ORDER BY ALL
SELECT q.name, l.m FROM people q, LATERAL (SELECT max(p.amount) AS m FROM payments p WHERE p.account_id = q.account_id) l ORDER BY ALL
SELECT q.name, l.amount FROM people q LEFT JOIN LATERAL (SELECT p.amount FROM payments p WHERE p.account_id = q.account_id ORDER BY p.amount DESC NULLS LAST, payment_id LIMIT 1) l ON true ORDER BY ALL
SELECT account_id FROM payments UNION SELECT account_id FROM people ORDER BY 1
SELECT account_id FROM payments UNION ALL SELECT account_id FROM people ORDER BY 1
SELECT account_id FROM payments INTERSECT SELECT account_id FROM people ORDER BY 1
SELECT account_id FROM payments INTERSECT ALL SELECT account_id FROM people ORDER BY 1
SELECT account_id FROM payments EXCEPT SELECT account_id FROM people ORDER BY 1
SELECT account_id FROM people EXCEPT ALL SELECT account_id FROM payments ORDER BY 1
SELECT account_id, amount FROM payments UNION BY NAME SELECT name, account_id FROM people ORDER BY ALL
(SELECT account_id FROM people ORDER BY 1 LIMIT 3) UNION ALL (SELECT payment_id FROM payments ORDER BY 1 DESC LIMIT 2) ORDER BY 1
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT n, name FROM r JOIN people ON n = account_id ORDER BY ALL
WITH RECURSIVE walk AS (SELECT account_id, 0 AS depth FROM people WHERE account_id = 1 UNION SELECT p.payment_id % 25, depth + 1 FROM walk w JOIN payments p ON p.account_id = w.account_id WHERE depth < 3) SELECT * FROM walk ORDER BY ALL
WITH RECURSIVE t(n, m) USING KEY (n) AS (SELECT account_id, 0 FROM people UNION SELECT n, m + 1 FROM t WHERE m < 2) SELECT * FROM t ORDER BY ALL
WITH a AS (SELECT account_id, sum(amount) AS s FROM payments GROUP BY 1), b AS (SELECT * FROM a WHERE s > 10) SELECT name, s FROM b JOIN people USING (account_id) ORDER BY ALL
WITH a AS MATERIALIZED (SELECT * FROM payments WHERE amount > 0) SELECT x.payment_id FROM a x JOIN a y ON x.payment_id = y.payment_id + 1 JOIN people p ON p.account_id = y.account_id ORDER BY ALL
WITH a AS NOT MATERIALIZED (SELECT * FROM payments) SELECT count(*) FROM a JOIN people USING (account_id) WHERE a.settled
WITH payments AS (SELECT account_id FROM people) SELECT count(*) FROM payments
WITH people AS (FROM people WHERE tier = 'gold') SELECT count(*) FROM people JOIN payments USING (account_id)
WITH x AS (WITH payments AS (SELECT 1 AS one) FROM payments) SELECT one, count(*) FROM x, payments GROUP BY 1
WITH a AS (VALUES (1, 'x'), (2, 'y')) SELECT col0, col1, name FROM a JOIN people ON col0 = account_id ORDER BY ALL
SELECT payment_id, row_number() OVER (PARTITION BY channel ORDER BY payment_id) AS rn, name FROM payments JOIN people USING (account_id) ORDER BY ALL
SELECT payment_id, sum(amount) OVER (ORDER BY payment_id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s, tier FROM payments LEFT JOIN people USING (account_id) ORDER BY ALL
SELECT payment_id, sum(amount) OVER w, rank() OVER w FROM payments JOIN people USING (account_id) WINDOW w AS (PARTITION BY tier ORDER BY payment_id, name) ORDER BY ALL
SELECT payment_id, lag(amount, 1, 0) OVER (ORDER BY payment_id), first_value(name IGNORE NULLS) OVER (ORDER BY payment_id, name) FROM payments LEFT JOIN people USING (account_id) ORDER BY ALL
SELECT name, count(*) OVER (ORDER BY born RANGE BETWEEN INTERVAL 400 DAY PRECEDING AND CURRENT ROW EXCLUDE GROUP) FROM people, (SELECT count(*) FROM payments) ORDER BY ALL
SELECT payment_id, name FROM payments JOIN people USING (account_id) QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY payment_id, name) = 1 ORDER BY ALL
SELECT * FROM (SELECT channel, tier, amount FROM payments JOIN people USING (account_id)) PIVOT (sum(amount) FOR tier IN ('gold', 'basic')) ORDER BY ALL
PIVOT (SELECT channel, tier, amount FROM payments JOIN people USING (account_id)) ON tier IN ('gold', 'basic') USING sum(amount) AS s, count(*) AS n GROUP BY channel ORDER BY channel
FROM payments PIVOT (count(*) FOR channel IN ('card' AS c, 'cash') GROUP BY settled) ORDER BY ALL
UNPIVOT (SELECT p.account_id, income, payment_id FROM people p JOIN payments q USING (account_id)) ON income, payment_id::BIGINT AS payment_id INTO NAME what VALUE v ORDER BY ALL
SELECT * FROM (SELECT account_id, income, account_id::BIGINT AS b FROM people WHERE account_id IN (SELECT account_id FROM payments)) UNPIVOT INCLUDE NULLS (v FOR n IN (income, b)) ORDER BY ALL
SELECT channel, tier, sum(amount) AS s, grouping(channel) AS g FROM payments JOIN people USING (account_id) GROUP BY GROUPING SETS ((channel), (tier), (channel, tier), ()) ORDER BY ALL
SELECT channel, tier, count(*), grouping_id(channel, tier) FROM payments JOIN people USING (account_id) GROUP BY ROLLUP (channel, tier) ORDER BY ALL
SELECT settled, channel, tier, count(*) FROM payments JOIN people USING (account_id) GROUP BY settled, CUBE (tier, channel) ORDER BY ALL
SELECT settled, channel, tier, count(*) FROM payments JOIN people USING (account_id) GROUP BY ROLLUP (tier, channel), CUBE (settled) ORDER BY ALL
SELECT list_transform(tags, lambda x: x + 1), list_filter(tags, lambda x, i: i > 1), name FROM payments JOIN people USING (account_id) ORDER BY payment_id, name
SELECT [x * 2 FOR x IN tags IF x > 3] AS l, name FROM payments JOIN people USING (account_id) ORDER BY payment_id, name
SELECT list_transform(tags, lambda x: coalesce(x, 0) + account_id) AS l FROM payments JOIN people USING (account_id) ORDER BY payment_id, name
SELECT place.city, place['n'] AS n, (place).city AS c2, facts['k'] AS f, tags[1], tags[-2:], tags[1:2] FROM payments JOIN people USING (account_id) ORDER BY payment_id, name
SELECT payments.place.city, transactions.payments.place.n, users.people.facts FROM payments JOIN people USING (account_id) ORDER BY payment_id, people.name
SELECT {'a': name, 'b': [amount, 1]} AS s, MAP {'k': name} AS m, row(1, name) AS r, [name, channel] AS l FROM payments JOIN people USING (account_id) ORDER BY payment_id, name
SELECT unnest(tags) AS t, name FROM payments JOIN people USING (account_id) WHERE payment_id < 20 ORDER BY ALL
SELECT payment_id, u.t, name FROM payments p JOIN people USING (account_id), unnest(p.tags) AS u(t) ORDER BY ALL
SELECT unnest({'a': payment_id, 'b': name}) FROM payments JOIN people USING (account_id) ORDER BY ALL
SELECT COLUMNS('^(payment|acc).*') FROM payments JOIN people USING (account_id) ORDER BY ALL
SELECT min(COLUMNS(* EXCLUDE (facts, place, tags))) FROM payments JOIN people USING (account_id)
SELECT COLUMNS(lambda c: c LIKE '%_id') + 1 FROM payments SEMI JOIN people USING (account_id) ORDER BY ALL
SELECT count(COLUMNS(*)) FROM people LEFT JOIN (SELECT account_id FROM payments) USING (account_id)
SELECT coalesce(*COLUMNS(['amount', 'score'])) FROM payments SEMI JOIN people USING (account_id) ORDER BY 1
SELECT * EXCLUDE (tags, place) FROM payments JOIN people USING (account_id) ORDER BY ALL
SELECT * REPLACE (upper(name) AS name) FROM people SEMI JOIN payments USING (account_id) ORDER BY ALL
SELECT * RENAME (name AS label) FROM people ANTI JOIN payments USING (account_id) ORDER BY ALL
SELECT p.* EXCLUDE (account_id), q.name FROM payments p, people q WHERE p.account_id = q.account_id AND amount > 50 ORDER BY ALL
SELECT * LIKE '%id' FROM payments SEMI JOIN people USING (account_id) ORDER BY ALL
SELECT payments FROM payments SEMI JOIN people USING (account_id) ORDER BY payment_id
SELECT q FROM payments p JOIN people q USING (account_id) ORDER BY payment_id, q.name
SELECT count(p), count(q) FROM payments p FULL JOIN people q USING (account_id)
SELECT struct_pack(a := p, b := name) AS s FROM payments p JOIN people USING (account_id) ORDER BY payment_id, name
SELECT a.payment_id, b.payment_id FROM payments a JOIN payments b ON a.payment_id = b.payment_id + 1 WHERE a.account_id IN (SELECT account_id FROM people WHERE tier = 'gold') ORDER BY ALL
SELECT a.name, b.name FROM people a JOIN people b ON a.account_id = b.account_id AND a.name < b.name JOIN payments c ON c.account_id = b.account_id ORDER BY ALL
SELECT "select", "group by", "näme ""x""", big, name FROM "order" JOIN people ON "select" = account_id ORDER BY ALL
SELECT transactions."order"."näme ""x""" AS "é中 x" FROM transactions."order", users.people WHERE people.account_id = "order"."group by" ORDER BY ALL
SELECT TRANSACTIONS.PAYMENTS.AMOUNT FROM Transactions.Payments JOIN PEOPLE ON PEOPLE.Account_Id = payments.ACCOUNT_ID ORDER BY ALL
VALUES (1, 'a'), (2, NULL)
SELECT * FROM (VALUES (1, 'card'), (2, 'cash')) v(a, b) JOIN payments ON b = channel JOIN people USING (account_id) ORDER BY ALL
SELECT (a, b) IN (SELECT account_id, channel FROM payments), name FROM (VALUES (7, 'cash')) v(a, b), people ORDER BY ALL
TABLE people
FROM payments SELECT channel, count(*) WHERE account_id IN (SELECT account_id FROM people) GROUP BY ALL ORDER BY ALL
FROM people
SELECT DISTINCT channel, tier FROM payments JOIN people USING (account_id) ORDER BY ALL
SELECT DISTINCT ON (tier) tier, payment_id FROM payments JOIN people USING (account_id) ORDER BY tier, payment_id DESC
SELECT channel, string_agg(name, ',' ORDER BY name, payment_id) FROM payments JOIN people USING (account_id) GROUP BY 1 ORDER BY 1
SELECT count(*) FILTER (WHERE tier = 'gold'), sum(DISTINCT account_id), list(DISTINCT tier ORDER BY tier), quantile_cont(amount, 0.5), mode() WITHIN GROUP (ORDER BY settled) IS NOT NULL FROM payments JOIN people USING (account_id)
SELECT arg_max(name, amount * 1000 + payment_id), max(amount, 3), count(DISTINCT channel), median(score), bool_and(settled), corr(score, income) FROM payments JOIN people USING (account_id)
SELECT tier, sum(amount) AS s FROM payments JOIN people USING (account_id) GROUP BY tier HAVING s > 0 ORDER BY s DESC
SELECT channel c, count(*) n FROM payments JOIN people USING (account_id) WHERE c IS NOT NULL GROUP BY c ORDER BY n, c
SELECT name FROM people JOIN payments USING (account_id) ORDER BY amount DESC NULLS LAST, payment_id, name LIMIT 5 OFFSET 2
SELECT payment_id FROM payments SEMI JOIN people USING (account_id) ORDER BY payment_id LIMIT 10%
SELECT payment_id FROM payments WHERE account_id IN (SELECT account_id FROM people) ORDER BY payment_id LIMIT (SELECT count(*) FROM people WHERE tier = 'gold')
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE booked_at BETWEEN DATE '2024-01-05' AND DATE '2024-01-20' AND channel IN ('card', 'cash') AND name LIKE 'name 1%'
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE (channel = 'card' OR amount > 30) AND (tier = 'gold' OR born IS NULL)
SELECT count(*) FROM payments p JOIN people q USING (account_id) WHERE p.channel <> 'wire' AND NOT (q.income > 5000) AND p.settled AND p.score < 10.5
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE paid_at >= TIMESTAMP '2024-01-02 12:00:00' AND paid_at < TIMESTAMP '2024-01-04' AND born > DATE '1981-01-01'
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE channel ILIKE 'CA%' AND name NOT LIKE '%2' AND contains(name, '1') AND starts_with(channel, 'c')
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE try_cast(name AS INTEGER) IS NULL AND amount::INTEGER % 2 = 0
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE tier IS DISTINCT FROM 'gold' AND channel IS NOT DISTINCT FROM 'card'
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE 100 / (account_id + 1) > 5
SELECT count(*) FROM payments JOIN people USING (account_id) WHERE booked_at > current_date - INTERVAL 3 YEAR AND now() > paid_at
SELECT name FROM people WHERE tier = 'gold' AND income > 3000 AND account_id IN (SELECT account_id FROM payments WHERE channel = 'it''s' OR channel = 'card') ORDER BY ALL
SELECT now(), current_date, current_timestamp, today(), localtimestamp, current_time, age(TIMESTAMP '2020-01-01'), ago(INTERVAL 1 DAY), count(*) FROM people, payments
SELECT 1 AS one, 'x' AS two, NULL::INTEGER AS three, DATE '2020-01-01' + 1 AS four
SELECT range AS r, name FROM range(5) JOIN people ON range = account_id JOIN payments USING (account_id) ORDER BY ALL
SELECT * FROM generate_series(1, 3) g(i), people, payments WHERE i = people.account_id AND i = payments.account_id ORDER BY ALL
SELECT i FROM repeat(7, 3) t(i)
SELECT j.key, j.value, name FROM json_each('{"a": 1, "b": 2}') j JOIN people ON account_id = j.value::INTEGER JOIN payments USING (account_id) ORDER BY ALL
SELECT '{"a": [1, 2]}'::JSON -> 'a' ->> 0 AS x, json_extract('{"a": 3}', '$.a') AS y, count(*) FROM payments, people GROUP BY ALL
SELECT name || ':' || channel, name[1:4], substring(name FROM 2 FOR 3), trim(BOTH 'n' FROM name), position('a' IN name), extract(year FROM born), born::VARCHAR FROM people JOIN payments USING (account_id) ORDER BY ALL
SELECT CASE channel WHEN 'card' THEN 1 WHEN 'cash' THEN 2 ELSE 0 END AS c, CASE WHEN tier = 'gold' THEN name END AS d FROM payments JOIN people USING (account_id) ORDER BY ALL
SELECT TRY(name::INTEGER), coalesce(born, DATE '1970-01-01'), nullif(tier, 'gold'), ifnull(tier, 'basic'), if(account_id > 3, 'a', 'b') FROM people SEMI JOIN payments USING (account_id) ORDER BY ALL
SELECT name COLLATE NOCASE AS n FROM people SEMI JOIN payments USING (account_id) WHERE name COLLATE NOCASE = 'NAME 7' ORDER BY n
SELECT amount::VARCHAR, amount::DOUBLE, account_id::UTINYINT, [account_id]::BIGINT[], name::BLOB, tier::VARCHAR, paid_at::TIMESTAMPTZ, paid_at AT TIME ZONE 'Europe/Prague' AS z FROM payments JOIN people USING (account_id) ORDER BY payment_id, name
SELECT * FROM nothing RIGHT JOIN people ON a = account_id ORDER BY ALL
SELECT count(*), sum(a), max(b) FROM nothing, people
SELECT * FROM people WHERE false
SELECT * FROM payments, people WHERE 1 = 0
SELECT count(*) FROM people WHERE EXISTS (FROM payments)
SELECT count(*) FROM people WHERE NOT EXISTS (FROM nothing)
SELECT (SELECT name FROM people WHERE account_id = 4), (SELECT count(*) FROM payments WHERE account_id = (SELECT max(account_id) FROM people))
SELECT sum((SELECT count(*) FROM payments p WHERE p.account_id = q.account_id)) FROM people q
SELECT x FROM (SELECT account_id AS x FROM people UNION ALL SELECT payment_id FROM payments) WHERE x > 3 AND x < 20 ORDER BY x
SELECT x.a, count(*) FROM (SELECT account_id AS a FROM people) x JOIN (SELECT account_id AS a, amount FROM payments WHERE amount > 0) y ON x.a = y.a GROUP BY x.a ORDER BY ALL
SELECT c.channel, r.rate, p.name FROM payments c JOIN rates r ON c.channel = r.channel AND c.booked_at = r.valid_from LEFT JOIN people p ON p.account_id = c.account_id ORDER BY ALL
SELECT #1, count(*) FROM (SELECT tier FROM people SEMI JOIN payments USING (account_id)) GROUP BY 1 ORDER BY #1
SELECT payment_id FROM payments, (SELECT max(account_id) AS m FROM people) WHERE account_id = m OR payment_id = m ORDER BY 1
SELECT max(payment_id) FROM payments WHERE account_id < (SELECT avg(account_id) FROM people)
SELECT count(*) FROM payments LEFT JOIN people ON payments.account_id = people.account_id WHERE people.account_id IS NULL
SELECT count(*) FROM payments LEFT JOIN people ON payments.account_id = people.account_id AND payments.amount > 10 AND people.tier = 'gold'
SELECT p.account_id FROM people p LEFT JOIN payments q ON q.account_id = p.account_id AND q.amount > 50 WHERE q.payment_id IS NULL OR q.channel = 'card' ORDER BY ALL
SELECT name, histogram(channel) AS h FROM people JOIN payments USING (account_id) GROUP BY name ORDER BY name
SELECT list_aggregate(list(amount ORDER BY payment_id), 'sum') AS s, approx_count_distinct(name) > 0 AS d FROM payments JOIN people USING (account_id)
SELECT time_bucket(INTERVAL 1 DAY, paid_at) AS d, count(*) AS n FROM payments SEMI JOIN people USING (account_id) GROUP BY d ORDER BY d
SELECT strftime(born, '%Y') AS y, count(*) AS n FROM people SEMI JOIN payments USING (account_id) GROUP BY ALL ORDER BY ALL
SELECT EXISTS (SELECT 1 FROM people WHERE tier = 'gold') AND EXISTS (SELECT 1 FROM payments WHERE amount > 1000) AS both_there
SELECT transactions.payments.amount, users.people.name FROM transactions.payments, users.people WHERE transactions.payments.account_id = users.people.account_id ORDER BY ALL
SELECT t.* FROM (SELECT p.amount, q.income FROM payments p JOIN people q USING (account_id)) AS t(a, b) WHERE t.a > 0 ORDER BY ALL
SELECT a, b FROM people AS q(a, b) JOIN payments p ON p.account_id = q.a ORDER BY ALL
SELECT count(*) FROM people a, people b, payments c WHERE a.account_id = b.account_id AND b.account_id = c.account_id AND a.tier = 'gold' AND b.income > 100
SELECT count(*) FROM people, people p2 WHERE people.account_id = p2.account_id
SELECT name, amount FROM people JOIN payments USING (account_id) WHERE (account_id, channel) IN ((7, 'cash'), (14, 'wire')) ORDER BY ALL
SELECT name, amount FROM people JOIN payments USING (account_id) WHERE name IN (SELECT 'name ' || n FROM range(3) t(n)) ORDER BY ALL
SELECT /* a comment ; */ count(*) -- and another
SELECT 'semi;colon' AS "a;b", count(*) FROM people, payments;
SELECT E'tab\there', $$dollar 'quoted'$$, x'AB'::BLOB, 1_000, 1e3, 0.1 + 0.2, 5 // 2, 5 % 3, 2 ** 3, ~1, @ -3, 3!
SELECT account_id, tier FROM people WHERE tier > 'basic' AND account_id IN (SELECT account_id FROM payments) ORDER BY ALL
SELECT min(name), max(name) FROM people WHERE facts['k'] > 3 AND account_id IN (SELECT payment_id FROM payments)
! SELECT payment_id FROM payments SEMI JOIN people USING (account_id) LIMIT 3
! SELECT random() AS r, uuid() AS u, name FROM people, (SELECT count(*) FROM payments)
! SELECT * FROM payments TABLESAMPLE RESERVOIR (10 ROWS) REPEATABLE (3)
! SELECT count(*) FROM people USING SAMPLE 100%
