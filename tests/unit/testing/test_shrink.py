"""Shrinking keeps what fails and drops what does not matter."""

from datacanal.testing.shrink import shrink

STATEMENT = """
    WITH unused AS (SELECT 1 AS one)
    SELECT a.x + 1 AS y, count(*) FILTER (WHERE a.z) AS n, repeat(a.t, 2) AS r
    FROM lake.a AS a JOIN lake.b AS b ON a.k = b.k AND b.m > 3
    WHERE a.u IS NOT NULL AND EXISTS (SELECT 1 FROM lake.c WHERE c.k = a.k)
    GROUP BY ALL HAVING count(*) > 1 ORDER BY 1 LIMIT 3
"""


def test_what_does_not_matter_goes() -> None:
    smaller = shrink(STATEMENT, lambda text: "repeat(" in text)
    assert "repeat(" in smaller
    assert "JOIN" not in smaller
    assert "unused" not in smaller
    assert "EXISTS" not in smaller


def test_orders_and_limits_stay() -> None:
    assert "LIMIT 3" in shrink(STATEMENT, lambda text: "GROUP BY" in text or "HAVING" in text)


def test_an_inner_query_may_take_the_place_of_the_outer() -> None:
    assert len(shrink(STATEMENT, lambda text: "lake.c" in text)) < 80


def test_a_statement_that_fails_only_whole_stays_whole() -> None:
    assert shrink(STATEMENT, lambda _: False) == STATEMENT


def test_text_that_does_not_parse_stays() -> None:
    assert shrink("SELEC 1", lambda _: True) == "SELEC 1"


def test_the_number_of_tries_is_kept() -> None:
    tried: list[str] = []
    shrink(STATEMENT, lambda text: tried.append(text) is None, tries=5)
    assert len(tried) <= 5
