"""What the demonstration asks. More to find in these lakes: docs/analyst.md."""

MAIN = """SELECT c.segment, c.country, count(*) AS payments, sum(p.amount) AS spent,
       count(DISTINCT c.customer_id) AS customers
FROM transactions.payments AS p
JOIN users.customers AS c ON c.customer_id = p.customer_id
WHERE p.merchant_category = 'travel' AND p.booked_at >= TIMESTAMP '2025-06-01' AND c.income_band >= 3
GROUP BY c.segment, c.country
ORDER BY spent DESC
LIMIT 10"""

SECOND = (
    "SELECT acquired_by, year(since) AS vintage, count(*) AS instalments, "
    "round(100 * avg((paid_on IS NULL OR paid_on > due_on)::INTEGER), 1) AS late_percent "
    "FROM transactions.loan_payments JOIN users.customers USING (customer_id) "
    "GROUP BY ALL ORDER BY late_percent DESC LIMIT 5"
)
