"""What happened at the sample bank: the transactions lake. Macros are those of `people`."""

from __future__ import annotations

# One payment in so many belongs to the ring.
RING_EVERY = 1400
MERCHANTS = 20_000

_CATEGORIES = (
    "['groceries','groceries','groceries','dining','dining','fuel','clothing','travel','health','utilities',"
    "'electronics','gambling']"
)

# The account of payment `i`: half of them Zipf-Mandelbrot (few accounts make many payments), half uniform.
_ACCOUNT = """CASE WHEN u(i, 'mix') < 0.5
                   THEN (floor(300 * (pow(accounts() / 300 + 1, u(i, 'busy')) - 1))::BIGINT * 7919) % accounts()
                   ELSE floor(u(i, 'any') * accounts())::BIGINT END"""

# Two years with a swell before Christmas and in summer, and the evening hump of each day.
_BOOKED = """TIMESTAMP '2024-01-01' + to_seconds(86400 * (
                 floor(731 * (i / total - 0.018 * sin(4 * pi() * i / total + 0.9) + 0.018 * sin(0.9)))
                 + least(0.9999, greatest(0, 0.58 + 0.33 * normal(i, 'hour') / 2)))::DOUBLE)"""


def payments(first: int, last: int, total: int) -> str:
    """SQL of the payments with indexes in [first, last) out of `total`."""
    return f"""
WITH made AS (
    SELECT i, total, i % {RING_EVERY} = 7 AS is_ring, i // {RING_EVERY} AS round,
           {_ACCOUNT} AS n, u(i, 'what') AS what,
           floor(exp(u(i, 'merchant') * ln({MERCHANTS})))::INTEGER AS merchant
    FROM (SELECT i, {total}::BIGINT AS total FROM range({first}, {last}) AS t(i))),
placed AS (
    SELECT *, CASE WHEN is_ring THEN ring_member(round) - 1 ELSE n END AS payer,
           CASE WHEN is_ring OR what > 0.82 THEN 'transfer' WHEN what > 0.78 THEN 'cash' ELSE 'card' END AS way
    FROM made)
SELECT
    i + 1 AS payment_id,
    account_id(payer) AS account_id,
    owner(payer) AS customer_id,
    CASE WHEN is_ring THEN account_id(ring_member(round + 1) - 1)
         WHEN way = 'transfer' THEN account_id(floor(u(i, 'to') * accounts())::BIGINT) END AS counterparty_account_id,
    CASE WHEN way = 'card' THEN merchant END AS merchant_id,
    CASE WHEN way = 'card' THEN pick({_CATEGORIES}, merchant, 'category') ELSE way END AS merchant_category,
    CASE WHEN is_ring THEN (9000 + floor(u(i, 'ring') * 90000) / 100)::DECIMAL(12, 2)
         WHEN way = 'cash' THEN (100 * ceil(1 + 40 * pow(u(i, 'cash'), 3)))::DECIMAL(12, 2)
         ELSE least(5000000, exp(5.2 + 1.9 * normal(i, 'amount')
                                 + 3.2 * pow(u(i, 'tail'), 24)))::DECIMAL(12, 2) END AS amount,
    CASE WHEN u(payer, 'currency') < 0.7 THEN 'CZK' WHEN u(payer, 'currency') < 0.9 THEN 'CNY'
         ELSE 'EUR' END AS currency,
    {_BOOKED} AS booked_at,
    CASE way WHEN 'card' THEN pick(['pos', 'pos', 'pos', 'web', 'app'], i, 'channel')
             WHEN 'cash' THEN 'atm' ELSE pick(['app', 'app', 'web', 'branch'], i, 'channel') END AS channel,
    CASE WHEN u(i, 'abroad') < 0.06 THEN pick(['DE', 'AT', 'SK', 'PL', 'IT', 'HR', 'US', 'JP', 'TH'], i, 'where')
         WHEN u(payer, 'currency') BETWEEN 0.7 AND 0.9 THEN 'CN' ELSE 'CZ' END AS country,
    CASE WHEN is_ring THEN 'faktura ' || (2024000 + round)::VARCHAR
         WHEN way = 'transfer' AND u(i, 'memo') < 0.6
         THEN pick(['nájem', 'děkuji', 'dárek', '房租', '谢谢', 'rent', 'za oběd', '🎂'], i, 'note') END AS memo
FROM placed
ORDER BY i
"""  # noqa: S608  # our own texts and whole numbers


CARDS = """
SELECT k + 1 AS card_id, account_id(floor(u(k, 'card') * accounts())::BIGINT) AS account_id,
       pick(['debit', 'debit', 'debit', 'credit', 'gold'], k, 'cardkind') AS kind,
       DATE '2019-01-01' + floor(u(k, 'issued') * 2400)::INTEGER AS issued_on,
       u(k, 'blocked') < 0.03 AS is_blocked
FROM range(accounts()) AS t(k)
"""

LOANS = """
SELECT l + 1 AS loan_id, borrower(l) AS customer_id,
       (1000 * round(exp(4.2 + 0.8 * normal(l, 'principal'))))::DECIMAL(12, 2) AS principal,
       pick([12, 24, 36, 48, 60], l, 'months')::SMALLINT AS months,
       (3.9 + round(6 * u(l, 'rate'), 1))::DECIMAL(4, 2) AS rate_percent,
       loan_opened(l) AS opened_on
FROM range(getvariable('loans')) AS t(l)
"""

LOAN_MACROS = """
CREATE MACRO borrower(l) AS 1 + floor(u(l, 'borrower') * customers())::BIGINT;
CREATE MACRO loan_opened(l) AS DATE '2023-01-01' + floor(u(l, 'loan') * 730)::INTEGER;
"""

# Customers of the cohort are late six times as often, and some of their instalments are never paid.
LOAN_PAYMENTS = """
WITH due AS (
    SELECT l, k, borrower(l) AS c, l * 100 + k AS id, (loan_opened(l) + to_months(k))::DATE AS due_on
    FROM range(getvariable('loans')) AS t(l), range(1, 13) AS months(k)),
judged AS (SELECT *, is_cohort(c) AS in_cohort FROM due)
SELECT id AS instalment_id, l + 1 AS loan_id, c AS customer_id, due_on,
       CASE WHEN in_cohort AND u(id, 'never') < 0.08 THEN NULL
            WHEN u(id, 'late') < CASE WHEN in_cohort THEN 0.36 ELSE 0.06 END
            THEN due_on + 5 + floor(70 * pow(u(id, 'days'), 2))::INTEGER
            ELSE due_on - floor(4 * u(id, 'early'))::INTEGER END AS paid_on,
       (400 + floor(u(l, 'instalment') * 900000) / 100)::DECIMAL(12, 2) AS amount
FROM judged
"""

# Half of those asked got the offer, by lot. Only the persuadable answer to `cashback`; `gold-card` moves nobody.
OFFERS = """
WITH asked AS (
    SELECT o, 1 + floor(u(o, 'asked') * customers())::BIGINT AS c,
           pick(['cashback', 'gold-card'], o, 'campaign') AS campaign, u(o, 'treated') < 0.5 AS is_treated
    FROM range(getvariable('offers')) AS t(o)),
likely AS (
    SELECT *, 0.04 + CASE WHEN campaign = 'cashback' AND is_treated AND is_persuadable(c) THEN 0.16
                          WHEN campaign = 'cashback' AND is_treated AND segment(c) = 'senior' THEN -0.02
                          ELSE 0 END AS chance
    FROM asked)
SELECT o + 1 AS offer_id, campaign, c AS customer_id, is_treated,
       DATE '2025-03-03' + floor(u(o, 'sent') * 28)::INTEGER AS sent_on, u(o, 'answer') < chance AS responded
FROM likely
"""
