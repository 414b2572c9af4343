-- What the policies of `world` must not show, and what must stay possible: one statement a line, under what is said
-- of it. `refused COLUMN CLASS` is what the refusal names; behind a bar, why an aggregate step makes it legal all the
-- same. `harmless` is followed by the reason. Values of parameters stand behind the statement.

-- refused bank.payments.memo secret
SELECT memo FROM payments
SELECT memo AS channel FROM payments
SELECT m FROM (SELECT memo AS m FROM payments) AS p(m)
WITH p(channel) AS (SELECT memo FROM payments) SELECT channel FROM p
SELECT upper(memo) FROM payments
SELECT substr(memo, 1, 1) FROM payments
SELECT memo[1] FROM payments
SELECT hash(memo) FROM payments
SELECT md5(memo) FROM payments
SELECT memo || '' FROM payments
SELECT length(memo) FROM payments
SELECT memo::BLOB FROM payments
SELECT try_cast(memo AS INTEGER) IS NULL FROM payments
SELECT CASE WHEN memo LIKE 'a%' THEN 1 ELSE 0 END FROM payments
SELECT CASE memo WHEN 'a' THEN channel ELSE '' END FROM payments
SELECT memo = 'x' AS hit FROM payments
SELECT memo IS NULL FROM payments
SELECT coalesce(memo, '') FROM payments
SELECT nullif(channel, memo) FROM payments
SELECT typeof(memo) || memo FROM payments
SELECT payment_id FROM payments WHERE memo = 'x'
SELECT payment_id FROM payments WHERE memo <> 'x'
SELECT payment_id FROM payments WHERE memo LIKE 'a%'
SELECT payment_id FROM payments WHERE memo IN ('a', 'b')
SELECT payment_id FROM payments WHERE memo BETWEEN 'a' AND 'b'
SELECT payment_id FROM payments WHERE memo IS NOT NULL
SELECT payment_id FROM payments WHERE regexp_matches(memo, '^[0-9]')
SELECT payment_id FROM payments WHERE channel = memo
SELECT payment_id FROM payments WHERE settled OR memo > 'x'
SELECT count(*) FROM payments WHERE memo = 'Novak'
SELECT count(*) FROM payments WHERE starts_with(memo, 'N')
SELECT count(memo) FROM payments
SELECT count(DISTINCT memo) FROM payments
SELECT approx_count_distinct(memo) FROM payments
SELECT count(*) FROM payments GROUP BY memo
SELECT channel, count(*) FROM payments GROUP BY channel, memo
SELECT channel, count(*) FROM payments GROUP BY ROLLUP (channel, memo)
SELECT channel, count(*) FROM payments GROUP BY GROUPING SETS ((channel), (substr(memo, 1, 1)))
SELECT channel FROM payments GROUP BY channel HAVING max(memo) > 'x'
SELECT count(*) FILTER (WHERE memo = 'x') FROM payments
SELECT min(memo) FROM payments
SELECT first(memo ORDER BY payment_id) FROM payments
SELECT first(payment_id ORDER BY memo) FROM payments
SELECT arg_min(payment_id, memo) FROM payments
SELECT mode(memo) FROM payments
SELECT list(memo) FROM payments
SELECT string_agg(memo, ',') FROM payments
SELECT bool_or(memo = 'x') FROM payments
SELECT payment_id FROM payments ORDER BY memo
SELECT payment_id FROM payments ORDER BY memo LIMIT 1
SELECT payment_id FROM payments ORDER BY length(memo) DESC, payment_id
SELECT DISTINCT memo FROM payments
SELECT DISTINCT ON (memo) payment_id FROM payments
SELECT DISTINCT ON (channel) payment_id FROM payments ORDER BY channel, memo
SELECT row_number() OVER (ORDER BY memo), payment_id FROM payments
SELECT count(*) OVER (PARTITION BY memo) FROM payments
SELECT lag(memo) OVER (ORDER BY payment_id) FROM payments
SELECT first_value(memo) OVER (ORDER BY payment_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM payments
SELECT count(*) FILTER (WHERE memo = 'x') OVER () FROM payments
SELECT payment_id FROM payments QUALIFY rank() OVER (ORDER BY memo) = 1
SELECT channel FROM payments UNION ALL SELECT memo FROM payments
SELECT channel FROM payments UNION SELECT memo FROM payments
SELECT memo FROM payments INTERSECT VALUES ('Novak')
VALUES ('Novak') EXCEPT SELECT memo FROM payments
VALUES ('Novak') EXCEPT ALL SELECT memo FROM payments
SELECT payment_id FROM payments UNION ALL BY NAME SELECT memo FROM payments
SELECT 1 WHERE EXISTS (SELECT 1 FROM payments WHERE memo = 'x')
SELECT district FROM rates r WHERE EXISTS (SELECT 1 FROM payments p WHERE p.memo = r.district)
SELECT district FROM rates WHERE district IN (SELECT memo FROM payments)
SELECT district FROM rates WHERE district NOT IN (SELECT memo FROM payments)
SELECT district FROM rates WHERE district = ANY (SELECT memo FROM payments)
SELECT district FROM rates WHERE district > ALL (SELECT memo FROM payments)
SELECT (SELECT memo FROM payments WHERE payment_id = 1)
SELECT (SELECT max(channel) FROM payments q WHERE q.memo = p.channel) FROM payments p
SELECT payment_id FROM payments LIMIT (SELECT length(max(memo)) FROM payments)
SELECT payment_id FROM payments OFFSET (SELECT length(max(memo)) FROM payments)
SELECT payment_id FROM payments ORDER BY (SELECT max(memo) FROM payments q WHERE q.payment_id = payments.payment_id)
SELECT count(*) FROM payments GROUP BY (SELECT max(q.memo) FROM payments q WHERE q.payment_id = payments.payment_id)
SELECT v FROM (VALUES ('a'), ('b')) t(v) JOIN payments ON memo = v
SELECT v, payment_id FROM (VALUES ('a')) t(v) LEFT JOIN payments ON memo = v
SELECT v FROM (VALUES ('a')) t(v) SEMI JOIN payments ON memo = v
SELECT v FROM (VALUES ('a')) t(v) ANTI JOIN payments ON memo = v
SELECT v FROM (VALUES ('a')) t(v), payments WHERE memo = v
SELECT p.payment_id, r.rate FROM payments p ASOF JOIN rates r ON p.memo >= r.district
SELECT r.district FROM rates r POSITIONAL JOIN (SELECT payment_id FROM payments ORDER BY memo) p WHERE payment_id = 7
SELECT p.payment_id FROM payments p, LATERAL (SELECT p.memo AS m) l WHERE m = 'x'
SELECT l.* FROM payments p, LATERAL (SELECT upper(p.memo)) l
SELECT * FROM (SELECT payment_id, memo FROM payments)
SELECT COLUMNS(*) FROM (SELECT memo FROM payments)
SELECT COLUMNS('mem.*') FROM payments
SELECT COLUMNS(lambda c: c = 'memo') FROM payments
SELECT concat(*COLUMNS(['channel', 'memo'])) FROM payments
SELECT * EXCLUDE (account_id, amount, memo, tags, score) REPLACE (memo AS channel) FROM payments
SELECT {'a': memo} FROM payments
SELECT [memo] FROM payments
SELECT [channel, memo][1] FROM payments
SELECT MAP {'k': memo} FROM payments
SELECT row(memo, channel) FROM payments
SELECT {'a': memo, 'b': channel}.b FROM payments
SELECT struct_extract(struct_pack(a := channel, b := memo), 'a') FROM payments
SELECT unnest([memo]) FROM payments
SELECT channel, unnest(string_split(memo, ' ')) IS NULL FROM payments
SELECT list_transform(['a', 'b'], lambda x: x = memo) FROM payments
SELECT list_filter([1, 2], lambda x: memo = 'x') FROM payments
SELECT [x FOR x IN ['a'] IF x < memo] FROM payments
SELECT list_reduce([channel, memo], lambda a, b: a || b) FROM payments
SELECT list_sort(list(memo))[1] FROM payments
SELECT to_json(m) FROM (SELECT memo AS m FROM payments)
SELECT printf('%s', memo) FROM payments
PIVOT (SELECT channel, memo FROM payments) ON memo IN ('a', 'b') USING count(*)
PIVOT (SELECT channel, memo FROM payments) ON channel IN ('card') USING max(memo)
UNPIVOT (SELECT payment_id, memo, channel FROM payments) ON memo, channel INTO NAME n VALUE v
WITH RECURSIVE r(n, m) AS (SELECT 1, memo FROM payments UNION ALL SELECT n + 1, m FROM r WHERE n < 3) SELECT n, m FROM r
WITH RECURSIVE r(m) AS (SELECT memo FROM payments UNION SELECT substr(m, 2) FROM r WHERE m <> '') SELECT count(*) FROM r
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT max(length(memo)) FROM payments)) SELECT max(n) FROM r
WITH m AS MATERIALIZED (SELECT payment_id, memo FROM payments) SELECT a.payment_id FROM m a JOIN m b ON a.memo = b.memo
WITH m AS (SELECT memo FROM payments) SELECT count(*) FROM m, (SELECT * FROM m WHERE memo = 'x')
SELECT DISTINCT payment_id, memo IS NULL FROM payments
SELECT payment_id FROM payments TABLESAMPLE 10% WHERE memo = 'x'
SELECT channel FROM (SELECT channel, CASE WHEN memo = 'x' THEN error('hit') END FROM payments)
WITH e AS MATERIALIZED (SELECT CASE WHEN memo = 'x' THEN error('hit') END AS e FROM payments) SELECT 1 FROM e
SELECT channel FROM (SELECT channel, memo::INTEGER FROM payments)
SELECT (SELECT count(*) FROM payments WHERE memo = 'x') / 2

-- refused bank.payments.tags secret
SELECT tags[1] FROM payments
SELECT unnest(tags) FROM payments
SELECT payment_id, u.t FROM payments, unnest(tags) u(t)
SELECT payment_id FROM payments, unnest(tags) u(t)
SELECT len(tags) FROM payments
SELECT list_contains(tags, 'x') FROM payments
SELECT payment_id FROM payments WHERE list_contains(tags, 'x')
SELECT [x || '' FOR x IN tags] FROM payments
SELECT array_to_string(tags, ',') FROM payments

-- refused bank.payments.score secret
SELECT score + 0 FROM payments
SELECT score % 2 FROM payments
SELECT -score FROM payments
SELECT 1 / (score - 42) FROM payments
SELECT sum(score) FROM payments
SELECT channel, avg(score) FROM payments GROUP BY channel
SELECT repeat('x', score) FROM payments
SELECT i FROM payments, range(score) r(i)
SELECT unnest(range(score)) FROM payments
SELECT payment_id FROM payments WHERE score + 0 = 42
SELECT payment_id FROM payments WHERE payment_id + score = 42
SELECT payment_id FROM payments p JOIN range(100) r(i) ON p.score = r.i
SELECT sum(payment_id) OVER (ORDER BY score RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM payments
SELECT sum(payment_id) OVER (ORDER BY payment_id ROWS BETWEEN score PRECEDING AND CURRENT ROW) FROM payments
SELECT ntile(4) OVER (ORDER BY score) FROM payments
SELECT quantile_cont(score, 0.5) FROM payments
SELECT corr(score, payment_id) FROM payments

-- refused crm.people.name secret
SELECT * FROM people
SELECT people FROM people
SELECT p FROM people p
SELECT p.* FROM people p
SELECT people::VARCHAR FROM people
SELECT to_json(people) FROM people
SELECT count(people) FROM people
SELECT unnest(people) FROM people
SELECT list(p) FROM people p
FROM people
FROM people ORDER BY ALL
TABLE people
SELECT * FROM people SEMI JOIN accounts USING (account_id)
SELECT COLUMNS(* EXCLUDE (account_id, income, profile)) FROM people

-- refused crm.people.profile secret
SELECT profile.city FROM people
SELECT profile['city'] FROM people
SELECT (profile).age FROM people
SELECT struct_keys(profile) FROM people
SELECT profile.* FROM people
SELECT unnest(profile) FROM people
SELECT district FROM people WHERE profile.age > 30
SELECT struct_insert(profile, x := 1).x FROM people

-- refused bank.payments.account_id join_key
SELECT account_id FROM payments
SELECT account_id AS payment_id FROM payments
SELECT account_id + 0 FROM payments
SELECT account_id::VARCHAR FROM payments
SELECT account_id::BIGINT FROM payments
SELECT hash(account_id) FROM payments
SELECT payment_id FROM payments WHERE account_id = 42
SELECT payment_id FROM payments WHERE 42 = account_id
SELECT payment_id FROM payments WHERE account_id + 0 = 42
SELECT payment_id FROM payments WHERE account_id::BIGINT = 42
SELECT payment_id FROM payments WHERE account_id IS NOT DISTINCT FROM 42
SELECT payment_id FROM payments WHERE account_id IN (41, 42)
SELECT payment_id FROM payments WHERE account_id = ANY ([41, 42])
SELECT payment_id FROM payments WHERE account_id IN (VALUES (41), (42))
SELECT payment_id FROM payments WHERE account_id BETWEEN 41 AND 43
SELECT payment_id FROM payments WHERE account_id < 43
SELECT payment_id FROM payments WHERE account_id IS NULL
SELECT payment_id FROM payments WHERE account_id % 10 = 3
SELECT payment_id FROM payments WHERE list_contains([42], account_id)
SELECT payment_id FROM payments WHERE account_id = payment_id
SELECT payment_id FROM payments WHERE CASE WHEN account_id = 42 THEN true ELSE settled END
SELECT payment_id FROM payments JOIN (VALUES (42)) v(k) ON account_id = k
SELECT payment_id FROM payments SEMI JOIN (VALUES (42)) v(k) ON account_id = k
SELECT payment_id FROM payments JOIN range(100) r(i) ON account_id = i
SELECT payment_id FROM payments JOIN generate_series(40, 44) r(i) ON account_id = i
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 99) SELECT payment_id FROM r JOIN payments ON n = account_id
SELECT payment_id FROM payments WHERE EXISTS (SELECT 1 FROM (VALUES (42)) v(k) WHERE k = account_id)
SELECT payment_id FROM payments WHERE (SELECT 42) = account_id
SELECT payment_id FROM payments ORDER BY account_id
SELECT payment_id FROM payments ORDER BY account_id LIMIT 1
SELECT count(*) FROM payments GROUP BY account_id
SELECT count(*), account_id FROM payments GROUP BY ALL
SELECT count(DISTINCT account_id) FROM payments
SELECT count(account_id) FROM payments
SELECT count(*) FROM (SELECT DISTINCT account_id FROM payments)
SELECT count(*) FROM (SELECT account_id FROM payments GROUP BY account_id)
SELECT district, count(*) FROM people, (SELECT DISTINCT account_id FROM payments) GROUP BY district
SELECT min(account_id), max(account_id) FROM payments
SELECT DISTINCT account_id FROM payments
SELECT DISTINCT ON (account_id) payment_id FROM payments
SELECT row_number() OVER (PARTITION BY account_id ORDER BY payment_id) FROM payments
SELECT dense_rank() OVER (ORDER BY account_id) FROM payments
SELECT a.payment_id FROM payments a JOIN payments b ON a.account_id = b.account_id
SELECT a.payment_id, b.payment_id FROM payments a, payments b WHERE a.account_id = b.account_id AND a.payment_id < b.payment_id
SELECT payment_id FROM payments p WHERE EXISTS (SELECT 1 FROM payments q WHERE q.account_id = p.account_id AND q.settled)
SELECT payment_id FROM payments WHERE account_id IN (SELECT account_id FROM payments WHERE settled)
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id <= q.account_id
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id <> q.account_id
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id = q.account_id + 1
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id - q.account_id = 0
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id = q.account_id OR p.settled
SELECT payment_id, district FROM payments p, people q WHERE NOT (p.account_id <> q.account_id)
SELECT payment_id, district FROM payments p JOIN people q ON (p.account_id = q.account_id) IS TRUE
SELECT payment_id, p.account_id = q.account_id FROM payments p, people q
SELECT CASE WHEN p.account_id = q.account_id THEN payment_id END FROM payments p, people q
SELECT payment_id FROM payments p JOIN people q USING (account_id) WHERE account_id = 42
SELECT payment_id FROM payments p LEFT JOIN people q USING (account_id) WHERE p.account_id IN (41, 42)
SELECT account_id, district FROM payments JOIN people USING (account_id)
SELECT payment_id, district FROM payments NATURAL FULL JOIN people WHERE account_id IS NOT NULL
SELECT p.payment_id FROM payments p ASOF JOIN people q ON p.account_id = q.account_id AND p.payment_id >= q.born
SELECT account_id FROM payments UNION SELECT payment_id FROM payments
SELECT 42 EXCEPT SELECT account_id FROM payments
SELECT account_id FROM payments INTERSECT SELECT 42
SELECT account_id FROM payments INTERSECT SELECT account_id FROM people
SELECT list(account_id) FROM payments
SELECT {'k': account_id}.k FROM payments
SELECT list_filter([41, 42], lambda x: x = account_id) FROM payments
SELECT payment_id FROM payments LIMIT (SELECT max(account_id) FROM payments)
SELECT channel FROM payments GROUP BY channel HAVING min(account_id) < 10
SELECT count(*) FILTER (WHERE account_id = 42) FROM payments
PIVOT (SELECT account_id, channel FROM payments) ON channel IN ('card') USING count(*) GROUP BY account_id
UNPIVOT (SELECT account_id, payment_id FROM payments) ON account_id, payment_id
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id = q.account_id WHERE p.account_id + q.account_id = 84
SELECT p.payment_id FROM payments p JOIN (SELECT coalesce(account_id, 42) AS k FROM people) q ON p.account_id = q.k
SELECT p.payment_id FROM payments p JOIN (SELECT 42 AS k FROM people) q ON p.account_id = q.k

-- refused crm.people.account_id join_key
SELECT district FROM people WHERE account_id = 42
SELECT district FROM people LEFT JOIN accounts USING (account_id) WHERE people.account_id IS NULL
SELECT a.district FROM people a SEMI JOIN people b ON a.account_id = b.account_id + 1

-- refused bank.accounts.account_id join_key
SELECT q.district FROM people q JOIN (SELECT account_id AS k FROM accounts UNION ALL SELECT 42) p ON q.account_id = p.k
SELECT district FROM people, accounts WHERE accounts.account_id::VARCHAR = people.account_id::VARCHAR

-- refused bank.payments.account_id join_key
SELECT q.district FROM people q JOIN (SELECT max(account_id) AS k FROM payments) p ON q.account_id = p.k

-- refused bank.payments.amount aggregate
SELECT channel, count(*) FROM payments p WHERE EXISTS (SELECT 1 FROM payments q WHERE q.payment_id = p.payment_id AND q.amount >= 1000) GROUP BY channel
SELECT count(*) FROM payments p, payments q WHERE p.payment_id = 7 AND p.amount >= 1000 GROUP BY q.payment_id, p.amount
SELECT DISTINCT channel FROM payments WHERE amount >= 1000
SELECT settled FROM payments ORDER BY amount >= 1000
SELECT payment_id FROM payments WHERE amount >= 1000
SELECT payment_id FROM payments WHERE 1000 <= amount
SELECT payment_id FROM payments WHERE amount >= 1000.00 AND amount < 10000
SELECT payment_id FROM payments WHERE amount BETWEEN 1000 AND 10000
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id = q.account_id AND p.amount >= 1000
SELECT amount FROM payments
SELECT amount * 2 FROM payments
SELECT amount > 1000 FROM payments
SELECT round(amount, -3) FROM payments
SELECT min(amount) FROM payments
SELECT max(amount) FROM payments
SELECT channel, max(amount) FROM payments GROUP BY channel
SELECT first(amount) FROM payments
SELECT any_value(amount) FROM payments
SELECT list(amount) FROM payments
SELECT mode(amount) FROM payments
SELECT median(amount) FROM payments
SELECT quantile_disc(amount, 0.99) FROM payments
SELECT stddev(amount) FROM payments
SELECT string_agg(amount::VARCHAR, ',') FROM payments
SELECT arg_max(payment_id, amount) FROM payments
SELECT arg_max(amount, payment_id) FROM payments
SELECT count(DISTINCT amount) FROM payments
SELECT bit_xor(amount::BIGINT) FROM payments
SELECT product(amount) FROM payments
SELECT corr(amount, payment_id) FROM payments
SELECT histogram(amount) FROM payments
SELECT sum(amount) FILTER (WHERE payment_id = 7) FROM payments
SELECT sum(CASE WHEN payment_id = 7 THEN amount END) FROM payments
SELECT sum(amount * (payment_id = 7)::INTEGER) FROM payments
SELECT sum(if(channel = 'card', amount, 0)) FROM payments
SELECT sum(DISTINCT amount) FROM payments
SELECT count(*) FILTER (WHERE amount > 5) FROM payments
SELECT sum(amount + 0) FROM payments
SELECT sum(amount) OVER (PARTITION BY payment_id) FROM payments
SELECT avg(amount) OVER (ORDER BY payment_id ROWS CURRENT ROW) FROM payments
SELECT payment_id FROM payments ORDER BY amount DESC LIMIT 1
SELECT payment_id FROM payments ORDER BY amount
SELECT rank() OVER (ORDER BY amount), payment_id FROM payments
SELECT DISTINCT amount FROM payments
SELECT count(*) FROM payments GROUP BY amount
SELECT count(*) FROM payments GROUP BY amount > 1000
SELECT payment_id FROM payments WHERE amount = 1000
SELECT payment_id FROM payments WHERE amount <> 1000
SELECT payment_id FROM payments WHERE amount IN (1000, 10000)
SELECT payment_id FROM payments WHERE amount > 999
SELECT payment_id FROM payments WHERE amount >= 1000.01
SELECT payment_id FROM payments WHERE amount BETWEEN 1000 AND 1001
SELECT payment_id FROM payments WHERE amount >= 1000 AND amount < 1005
SELECT payment_id FROM payments WHERE amount >= 1000 OR payment_id = 7
SELECT payment_id FROM payments WHERE NOT amount >= 1000
SELECT payment_id FROM payments WHERE (amount >= 1000) IS NOT TRUE
SELECT payment_id FROM payments WHERE amount + 0 >= 1000
SELECT payment_id FROM payments WHERE amount::INTEGER >= 1000
SELECT payment_id FROM payments WHERE amount >= payment_id
SELECT payment_id FROM payments WHERE amount >= 999 + 1
SELECT payment_id FROM payments WHERE amount >= (SELECT 1000)
SELECT payment_id FROM payments WHERE amount IS NULL
SELECT payment_id, v FROM payments JOIN (VALUES (1000)) t(v) ON amount >= v
SELECT payment_id FROM payments WHERE amount >= ALL (SELECT amount FROM payments)
SELECT a.payment_id FROM payments a JOIN payments b ON a.amount > b.amount
SELECT amount FROM payments UNION SELECT payment_id FROM payments
SELECT {'a': amount} FROM payments
SELECT list_sum(list(amount)) FROM payments
SELECT (SELECT sum(q.amount) FROM payments q WHERE q.payment_id = p.payment_id) FROM payments p
PIVOT (SELECT payment_id, channel, amount FROM payments) ON channel IN ('card') USING max(amount)
WITH RECURSIVE r(n, s) AS (SELECT 1, amount FROM payments UNION ALL SELECT n + 1, s FROM r WHERE n < 2) SELECT sum(s) FROM r

-- refused bank.payments.amount aggregate | an aggregate step counts the individuals of each group
SELECT count(*) FROM payments WHERE amount > 0 AND settled
SELECT channel, count(*) FROM payments WHERE amount >= 1000 GROUP BY channel
SELECT channel, max(payment_id) FROM payments WHERE amount < 10000 GROUP BY channel
SELECT district, count(*) FROM payments p JOIN people q ON p.account_id = q.account_id AND p.amount >= 1000 GROUP BY district
SELECT count(*) FROM payments WHERE amount BETWEEN 1000 AND 10000
SELECT sum(amount) FROM payments
SELECT avg(amount), count(amount), count(*) FROM payments
SELECT channel, sum(amount) FROM payments GROUP BY channel
SELECT channel, settled, avg(amount) FROM payments WHERE amount >= 1000 GROUP BY channel, settled
SELECT district, sum(amount) FROM payments JOIN people USING (account_id) GROUP BY district
SELECT channel, sum(amount) AS s FROM payments GROUP BY channel HAVING count(*) > 3 ORDER BY s DESC LIMIT 3
SELECT channel, sum(amount) / count(*) FROM payments GROUP BY channel

-- refused crm.people.income aggregate
SELECT district FROM people WHERE income >= 20000
SELECT max(income) FROM people
SELECT district FROM people WHERE income > 20001
SELECT district FROM people WHERE income BETWEEN 20000 AND 20001
SELECT income // 1000 FROM people
SELECT sum(income) FROM people GROUP BY income
SELECT (SELECT max(income) FROM people q WHERE q.district = r.district) FROM rates r

-- refused crm.people.joined_on aggregate
SELECT district FROM people WHERE joined_on < DATE '2020-01-01'
SELECT district FROM people WHERE joined_on < '2020-01-01'
SELECT district FROM people WHERE joined_on >= DATE '2020-01-02'
SELECT district FROM people WHERE year(joined_on) = 2020
SELECT date_trunc('month', joined_on) FROM people

-- refused bank.accounts.balance aggregate
SELECT branch FROM accounts WHERE balance >= 0

-- harmless join keys of two datasets, set equal as a conjunct, are what join keys are for
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id = q.account_id
SELECT payment_id, district FROM payments JOIN people USING (account_id)
SELECT payment_id, branch FROM payments JOIN accounts USING (account_id)
SELECT payment_id, district FROM payments p, people q WHERE p.account_id = q.account_id AND p.settled
SELECT payment_id, district FROM payments LEFT JOIN people USING (account_id)
SELECT payment_id, district FROM payments RIGHT JOIN people USING (account_id)
SELECT payment_id, district FROM payments p FULL JOIN people q ON p.account_id = q.account_id
SELECT payment_id FROM payments SEMI JOIN people USING (account_id)
SELECT payment_id FROM payments ANTI JOIN people USING (account_id)
SELECT payment_id FROM payments WHERE account_id IN (SELECT account_id FROM people WHERE tier = 'gold')
SELECT payment_id FROM payments WHERE account_id NOT IN (SELECT account_id FROM people)
SELECT payment_id FROM payments p WHERE EXISTS (SELECT 1 FROM people q WHERE q.account_id = p.account_id)
SELECT payment_id FROM payments p WHERE NOT EXISTS (SELECT 1 FROM people q WHERE q.account_id = p.account_id)
SELECT payment_id, EXISTS (SELECT 1 FROM people q WHERE q.account_id = p.account_id) FROM payments p
SELECT payment_id, district FROM payments p JOIN people q ON p.account_id IS NOT DISTINCT FROM q.account_id
SELECT payment_id, district, branch FROM payments JOIN people USING (account_id) JOIN accounts USING (account_id)
SELECT district, count(*) FROM payments JOIN people USING (account_id) GROUP BY district
SELECT payment_id, tier FROM (SELECT * FROM payments) p JOIN (SELECT * FROM people) q ON p.account_id = q.account_id
WITH k AS (SELECT account_id FROM people WHERE tier = 'gold') SELECT payment_id FROM payments JOIN k USING (account_id)
SELECT payment_id FROM payments WHERE account_id IS NOT NULL
SELECT payment_id FROM payments WHERE account_id IN (SELECT DISTINCT account_id FROM people)
SELECT payment_id FROM payments SEMI JOIN (SELECT account_id FROM people GROUP BY account_id) USING (account_id)
SELECT payment_id FROM payments p WHERE payment_id > (SELECT avg(payment_id) FROM payments) AND NOT EXISTS (FROM people q WHERE q.account_id = p.account_id)

-- harmless it uses public columns, or that there are rows
WITH e AS MATERIALIZED (SELECT memo::INTEGER AS e FROM payments) SELECT 1
SELECT count(*) FROM payments
SELECT count(*) FROM people, payments
SELECT payment_id, channel FROM payments WHERE settled ORDER BY channel LIMIT 3
SELECT * EXCLUDE (account_id, amount, memo, tags, score) FROM payments
SELECT COLUMNS('channel|settled') FROM payments
SELECT channel FROM (SELECT * FROM payments)
SELECT channel FROM (SELECT channel, memo AS m, account_id AS k FROM payments)
SELECT channel, row_number() OVER (ORDER BY payment_id) FROM payments
SELECT 'memo', 'account_id' FROM payments
SELECT exists(FROM people)
SELECT district, rate FROM rates WHERE valid_from > DATE '2020-01-01'
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT n FROM r
SELECT payment_id FROM payments p, LATERAL (SELECT p.channel AS c) l WHERE c = 'card'
PIVOT (SELECT settled, channel FROM payments) ON channel IN ('card', 'cash') USING count(*)
SELECT channel, unnest([1, 2]) FROM payments
SELECT list_transform([1, 2], lambda x: x + payment_id) FROM payments

-- harmless a mask is put over the values before anything else sees them: what is compared is the mask
SELECT booked_at FROM payments
SELECT payment_id FROM payments WHERE booked_at = 2024
SELECT payment_id FROM payments WHERE booked_at BETWEEN 20240101 AND 20241231
SELECT p.payment_id FROM payments p JOIN people q ON p.booked_at = q.born
SELECT p.payment_id FROM payments p JOIN (VALUES (2024)) v(y) ON p.booked_at = v.y
SELECT min(booked_at), max(booked_at) FROM payments GROUP BY payment_id
SELECT booked_at::VARCHAR FROM payments ORDER BY booked_at

-- refused bank.payments.account_id join_key
SELECT payment_id FROM payments WHERE account_id = $k  -- {"k": 42}
SELECT payment_id FROM payments WHERE account_id = ANY ($k)  -- {"k": [41, 42]}

-- refused bank.payments.memo secret
SELECT payment_id FROM payments WHERE memo LIKE $m  -- {"m": "a%"}

-- refused bank.payments.amount aggregate
SELECT payment_id FROM payments WHERE amount >= $a  -- {"a": 1001}
SELECT payment_id FROM payments WHERE amount >= $a  -- {"a": 1000}

-- refused bank.payments.amount aggregate | the parameter is a boundary of the policy
SELECT count(*) FROM payments WHERE amount >= $a  -- {"a": 1000}
