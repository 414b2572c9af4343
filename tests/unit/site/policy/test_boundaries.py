"""Boundaries of predicates: a literal of the column's type, or none."""

import pytest

from datacanal.site.policy.boundaries import boundary_literal


@pytest.mark.parametrize(
    ("value", "kind", "literal"),
    [
        (5, "INTEGER", "5"),
        (-128, "TINYINT", "-128"),
        (128, "TINYINT", None),
        (-1, "UBIGINT", None),
        (2.0, "BIGINT", "2.0"),
        (2.5, "BIGINT", None),
        (2.5, "DECIMAL(3,1)", "2.5"),
        (100, "DECIMAL(3,1)", None),
        (99, "DECIMAL(3,1)", "99"),
        (1e300, "DOUBLE", f"1{'0' * 300}"),
        (1e-7, "DOUBLE", "0.0000001"),
        ("it's", "VARCHAR", "'it''s'"),
        (5, "VARCHAR", None),
        ("5", "INTEGER", None),
        ("2020-01-01", "DATE", "DATE '2020-01-01'"),
        ("2020-01-01T00:00:00", "DATE", None),
        ("2020-01-01", "TIMESTAMP_MS", "TIMESTAMP '2020-01-01 00:00:00'"),
        ("2020-01-01 01:02:03", "TIMESTAMP", "TIMESTAMP '2020-01-01 01:02:03'"),
        ("2020-01-01T01:02:03.5", "TIMESTAMP", None),
        ("2020-01-01", "TIMESTAMP WITH TIME ZONE", None),
        (1, "INTEGER[]", None),
        (1, "INTERVAL", None),
    ],
)
def test_a_boundary_is_a_literal_of_the_column_s_type(value: float | str, kind: str, literal: str | None) -> None:
    assert boundary_literal(value, kind) == literal
