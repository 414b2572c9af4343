"""The canary town: twelve people at two sites, every governed value of each of them unique and recognisable.

A number that belongs to person `i` has one digit of its own in base 8, and below the digits a mark that tells which
column it is of. A sum of such numbers shows who is in it, how often, and of which column. Texts hold the person's own
word. Rows of people that the row filter hides (`hidden`) carry names that must never be seen at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import duckdb

PEOPLE = 12
HIDDEN = (3, 11)
"""The people whose rows a row filter takes away, where the policy has one."""
_DIGIT = 8
_BASE = 2**15
"""Small numbers (counts, ids, years) have no canary's digit; with all digits a number is still exact as a DOUBLE."""
_MARKS = {"income": 1, "amount": 2**5, "credit": 2**10}
"""Times the rows of a sum (below 32), this is what stands below the digits."""
_NUMBER = re.compile(r"(?<![\w.])-?\d{5,40}(?:\.0+)?(?![\w.])")

SITES = {"core": "transactions", "crm": "users"}
DATASETS = {
    "transactions": {"payments": "account_id", "accounts": "account_id"},
    "users": {"people": "account_id"},
}
"""By lake, each dataset and the column of the individual that it is about."""


@dataclass(frozen=True)
class Column:
    """`kind` is what a grammar may do with it; `canary` says that each person's value is unique."""

    name: str
    kind: str
    canary: bool = False


TABLES: dict[str, tuple[Column, ...]] = {
    "transactions.payments": (
        Column("payment_id", "int"),
        Column("account_id", "key"),
        Column("amount", "sum", canary=True),
        Column("kind", "text"),
        Column("day", "date"),
        Column("memo", "text", canary=True),
    ),
    "transactions.accounts": (
        Column("account_id", "key"),
        Column("branch", "text"),
        Column("credit", "sum", canary=True),
        Column("closed", "bool"),
    ),
    "users.people": (
        Column("person_id", "int"),
        Column("account_id", "key"),
        Column("name", "text", canary=True),
        Column("city", "text"),
        Column("born", "date"),
        Column("income", "sum", canary=True),
        Column("hidden", "bool"),
    ),
}


def key_of(person: int) -> int:
    """The person's join key, the same in all three datasets."""
    return 7_000_003 + person * 977


def word_of(person: int, column: str) -> str:
    """The text that stands in that person's rows and nowhere else."""
    return f"canary-{column}-{person:02d}-{(person * 7919 + 13) % 9973:04d}"


def number_of(person: int, column: str) -> int:
    """The number that stands in that person's rows of that column and nowhere else."""
    return _BASE * _DIGIT**person + _MARKS[column]


@dataclass(frozen=True)
class Sum:
    """A sum of canaries of one column: who is in it, and how often."""

    column: str
    people: tuple[tuple[int, int], ...]

    def differs_from(self, other: Sum) -> int:
        """How many people the two would tell apart."""
        return len({person for person, _ in set(self.people) ^ set(other.people)})


def sum_in(number: int) -> Sum | None:
    """Whose canaries add up to the number; None where it is no such sum."""
    value, mark = divmod(abs(number), _BASE)
    digits = []
    for person in range(PEOPLE):
        value, times = divmod(value, _DIGIT)
        if times:
            digits.append((person, times))
    rows = sum(times for _, times in digits)
    column = next((name for name, each in _MARKS.items() if mark == each * rows), None)
    return Sum(column, tuple(digits)) if column and digits and not value else None


def numbers_in(text: str) -> list[int]:
    """The whole numbers of a text that are long enough to be a canary."""
    return [int(Decimal(match)) for match in _NUMBER.findall(text) if _is_number(match)]


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def write_town(root: Path) -> dict[str, Path]:
    """Write the lakes; their folders by name."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE words (person INTEGER, col VARCHAR, word VARCHAR)")
        rows = [(person, column, word_of(person, column)) for person in range(PEOPLE) for column in ("memo", "name")]
        connection.executemany("INSERT INTO words VALUES (?, ?, ?)", rows)
        connection.execute(
            "CREATE TABLE numbers (person INTEGER, account INTEGER, amount DECIMAL(18, 0), credit DECIMAL(18, 0), "
            "income DECIMAL(18, 0))"
        )
        numbers = [
            (person, key_of(person), *(number_of(person, column) for column in ("amount", "credit", "income")))
            for person in range(PEOPLE)
        ]
        connection.executemany("INSERT INTO numbers VALUES (?, ?, ?, ?, ?)", numbers)
        for name, sql in _CONTENT.items():
            lake, dataset = name.split(".")
            folder = root / lake / dataset
            folder.mkdir(parents=True)
            connection.execute(f"COPY ({sql}) TO '{folder / 'part-0.parquet'}' (FORMAT parquet)")
    return {lake: root / lake for lake in SITES.values()}


_CONTENT = {
    "transactions.payments": """
        SELECT (person * 2 + turn)::INTEGER AS payment_id, account AS account_id, amount,
            ['card', 'wire', 'cash'][1 + (person + turn) % 3] AS kind,
            DATE '2024-01-01' + ((person * 3 + turn * 5) % 20)::INTEGER AS day,
            (SELECT word FROM words w WHERE w.person = n.person AND col = 'memo') AS memo
        FROM numbers n, range(2) r(turn)""",
    "transactions.accounts": """
        SELECT account AS account_id, ['north', 'south'][1 + person % 2] AS branch, credit,
            CASE person % 4 WHEN 0 THEN true WHEN 1 THEN false WHEN 2 THEN false END AS closed
        FROM numbers""",
    "users.people": f"""
        SELECT person AS person_id, account AS account_id,
            (SELECT word FROM words w WHERE w.person = n.person AND col = 'name') AS name,
            CASE WHEN person = 7 THEN 'Tábor' ELSE ['Brno', 'Plzeň', 'Zlín'][1 + person % 3] END AS city,
            DATE '1960-01-01' + (person * 397)::INTEGER AS born, income,
            person IN {HIDDEN} AS hidden
        FROM numbers n""",
}
