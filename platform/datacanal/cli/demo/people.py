"""Who the sample bank's customers are: the macros that both lakes are generated from, and the users lake.

Everything is a function of an id and the seed: `u(id, salt)` is a number in [0, 1) drawn from a hash. So each table
can be made in any order, in parts, and the tables agree with each other without being joined.
"""

from __future__ import annotations

# The ring: so many customers who share devices and pay each other in a circle.
RING_MEMBERS = 24
RING_DEVICES = 4

MACROS = f"""
CREATE MACRO u(id, salt) AS (hash(id, salt, getvariable('seed')) >> 11) / 9007199254740992.0;
CREATE MACRO pick(list, id, salt) AS list[1 + floor(u(id, salt) * len(list))::INTEGER];
CREATE MACRO normal(id, salt) AS
    u(id, salt || '1') + u(id, salt || '2') + u(id, salt || '3') + u(id, salt || '4') - 2;
CREATE MACRO customers() AS getvariable('customers');
CREATE MACRO accounts() AS getvariable('accounts');

-- One customer each for the first accounts, the rest spread; ids of different kinds never look alike.
CREATE MACRO account_id(n) AS 10000000 + n;
CREATE MACRO owner(n) AS CASE WHEN n < customers() THEN n + 1 ELSE 1 + floor(u(n, 'owner') * customers())::BIGINT END;

CREATE MACRO ring_member(k) AS 1 + ((k % {RING_MEMBERS}) * 5417 + 1013) % customers();

CREATE MACRO acquired_by(c) AS CASE
    WHEN u(c, 'acquired') < 0.42 THEN 'branch' WHEN u(c, 'acquired') < 0.71 THEN 'web'
    WHEN u(c, 'acquired') < 0.88 THEN 'referral' ELSE 'web_partner' END;
CREATE MACRO since(c) AS DATE '2015-01-01' + floor(3600 * pow(u(c, 'since'), 0.7))::INTEGER;
CREATE MACRO birth_date(c) AS
    DATE '2007-01-01' - floor(365.25 * (70 * pow(u(c, 'age'), 1.35) + 4 * u(c, 'age2')))::INTEGER;
CREATE MACRO segment(c) AS CASE
    WHEN birth_date(c) > DATE '2000-01-01' THEN 'student'
    WHEN birth_date(c) < DATE '1958-01-01' THEN 'senior'
    WHEN u(c, 'segment') < 0.38 THEN 'family' WHEN u(c, 'segment') < 0.53 THEN 'affluent' ELSE 'standard' END;
CREATE MACRO is_cohort(c) AS acquired_by(c) = 'web_partner' AND year(since(c)) = 2022;
CREATE MACRO is_persuadable(c) AS segment(c) = 'family' AND year(birth_date(c)) BETWEEN 1986 AND 1994;
"""

_FIRST_F = "['Jana','Marie','Eva','Hana','Anna','Lenka','Kateřina','Věra','Žofie','Šárka','Tereza','Růžena']"
_FIRST_M = "['Jiří','Jan','Petr','Josef','Pavel','Martin','Tomáš','Jaroslav','Miroslav','Zdeněk','Ondřej','Řehoř']"
_LAST_F = "['Nováková','Svobodová','Dvořáková','Černá','Procházková','Kučerová','Veselá','Krejčí','Němcová','Šťastná']"
_LAST_M = "['Novák','Svoboda','Dvořák','Černý','Procházka','Kučera','Veselý','Krejčí','Němec','Šťastný']"
_SURNAME = "['王','李','张','刘','陈','杨','黄','赵','吴','周','欧阳','诸葛']"
_GIVEN = "['伟','芳','娜','秀英','敏','静','丽','强','磊','军','洋','晓明','子涵','雨桐','浩然','梓萱']"
_OTHER = "['Anna Schmidt','Jörg Weiß','Zofia Łukasz','François Lefèvre','Aisha Rahman','Ngọc Trần','Seán Ó Briain']"

_CITIES = """
(VALUES (1, 'Praha', 'CZ', 'Praha', 1384732, 0.21), (2, 'Brno', 'CZ', 'Jihomoravský', 400566, 0.12),
        (3, 'Ostrava', 'CZ', 'Moravskoslezský', 284765, 0.08), (4, 'Plzeň', 'CZ', 'Plzeňský', 185599, 0.06),
        (5, 'Liberec', 'CZ', 'Liberecký', 107982, 0.04), (6, 'České Budějovice', 'CZ', 'Jihočeský', 97377, 0.04),
        (7, '上海', 'CN', '上海市', 24874500, 0.15), (8, '深圳', 'CN', '广东省', 17681600, 0.11),
        (9, '北京', 'CN', '北京市', 21843000, 0.08), (10, '成都', 'CN', '四川省', 21403000, 0.05),
        (11, 'Wien', 'AT', 'Wien', 1973403, 0.03), (12, 'Bratislava', 'SK', 'Bratislavský', 475503, 0.03))
  AS city(city_id, city, country, region, inhabitants, share)
"""

CITIES = f"SELECT city_id::INTEGER AS city_id, city, country, region, inhabitants FROM {_CITIES}"  # noqa: S608  # our own texts

CUSTOMERS = f"""
WITH city AS MATERIALIZED (
    SELECT *, sum(share) OVER (ORDER BY city_id) - share AS low, sum(share) OVER (ORDER BY city_id) AS high
    FROM {_CITIES}),
person AS (
    SELECT c, u(c, 'city') AS place, u(c, 'sex') < 0.51 AS is_f FROM range(1, customers() + 1) AS t(c))
SELECT
    c AS customer_id,
    CASE WHEN u(c, 'foreign') < 0.03 THEN pick({_OTHER}, c, 'other')
         WHEN country = 'CN' THEN pick({_SURNAME}, c, 'surname') || pick({_GIVEN}, c, 'given')
         WHEN is_f THEN pick({_FIRST_F}, c, 'first') || ' ' || pick({_LAST_F}, c, 'last')
         ELSE pick({_FIRST_M}, c, 'first') || ' ' || pick({_LAST_M}, c, 'last') END AS name,
    birth_date(c) AS birth_date,
    CASE WHEN u(c, 'unsaid') < 0.02 THEN NULL WHEN is_f THEN 'f' ELSE 'm' END AS sex,
    city,
    country,
    segment(c) AS segment,
    least(5, 1 + floor(0.55 / pow(1 - u(c, 'income'), 0.6)))::TINYINT AS income_band,
    acquired_by(c) AS acquired_by,
    since(c) AS since
FROM person JOIN city ON place >= low AND place < high
ORDER BY c
"""  # noqa: S608  # our own texts

ACCOUNTS = """
SELECT account_id(n) AS account_id, owner(n) AS customer_id,
       CASE WHEN n < customers() THEN 'current' WHEN u(n, 'kind') < 0.6 THEN 'savings' ELSE 'joint' END AS kind,
       since(owner(n)) + floor(400 * pow(u(n, 'opened'), 2) * (n >= customers())::INTEGER)::INTEGER AS opened_on,
       CASE WHEN u(n, 'currency') < 0.7 THEN 'CZK' WHEN u(n, 'currency') < 0.9 THEN 'CNY' ELSE 'EUR' END AS currency
FROM range(accounts()) AS t(n)
"""

DEVICES = f"""
SELECT 'd' || lpad(d::VARCHAR, 8, '0') AS device_id, 1 + floor(u(d, 'device') * customers())::BIGINT AS customer_id,
       pick(['android', 'android', 'ios', 'windows', 'mac'], d, 'system') AS system,
       DATE '2022-01-01' + floor(u(d, 'seen') * 1000)::INTEGER AS first_seen
FROM range((customers() * 1.4)::BIGINT) AS t(d)
UNION ALL
SELECT 'd9' || lpad((k % {RING_DEVICES})::VARCHAR, 7, '0'), ring_member(k), 'android',
       DATE '2024-02-01' + (k % 9)::INTEGER
FROM range({RING_MEMBERS} * 2) AS t(k)
"""  # noqa: S608  # whole numbers
