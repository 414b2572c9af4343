"""What the tables of every store share: names of constraints, whose a row is, columns of few words."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, CheckConstraint, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""How constraints are called, so that a migration can name each."""

COUNTER = BigInteger().with_variant(Integer(), "sqlite")
"""A key that counts up by itself, which SQLite does only in a column that is exactly INTEGER."""


class Owned:
    """Whose row it is."""

    tenant: Mapped[str] = mapped_column(String(128))
    principal: Mapped[str] = mapped_column(String(128))


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """The database's own check that the column holds one of these words."""
    # Not `IN (…)`: SQLite builds an index of the words for each row that it checks.
    return CheckConstraint(" OR ".join(f"{column} = '{value}'" for value in values), name=column)
