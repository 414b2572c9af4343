"""One instant per job: `now()` and its kin give the same answer in the binder and in every step, wherever it runs."""

from __future__ import annotations

from datetime import UTC, datetime

INSTANT_FUNCTIONS = frozenset(
    """
    age ago current_date current_localtime current_localtimestamp current_time current_timestamp get_current_time
    get_current_timestamp localtime localtimestamp now today transaction_timestamp
    """.split()  # noqa: SIM905  # one word list reads better than fourteen quoted strings
)
"""Functions that read the clock in plain DuckDB. They may only be written without a schema: the macros shadow them."""

_TYPES = {
    "current_date": "DATE",
    "current_localtime": "TIME",
    "current_localtimestamp": "TIMESTAMP",
    "current_time": "TIMETZ",
    "current_timestamp": "TIMESTAMPTZ",
    "get_current_time": "TIMETZ",
    "get_current_timestamp": "TIMESTAMPTZ",
    "localtime": "TIME",
    "localtimestamp": "TIMESTAMP",
    "now": "TIMESTAMPTZ",
    "today": "DATE",
    "transaction_timestamp": "TIMESTAMPTZ",
}


def instant_statements(now: str) -> list[str]:
    """Statements that fix the clock of a DuckDB connection at `now` (ISO 8601 with a zone).

    Run them once on a fresh connection whose time zone is UTC, before the configuration is locked. The macros shadow
    the built-in functions, their keyword forms (`current_date`) included. Raises `ValueError` for any other text.
    """
    moment = datetime.fromisoformat(now)
    if moment.tzinfo is None:
        raise ValueError(f"an instant with a time zone is needed, not {now!r}")
    instant = f"TIMESTAMPTZ '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"
    return [
        *(f"CREATE MACRO {name}() AS CAST({instant} AS {kind})" for name, kind in _TYPES.items()),
        f"CREATE MACRO ago(i) AS {instant} - i",
        f"CREATE MACRO age(a) AS system.main.age(CAST({instant} AS DATE), a), (a, b) AS system.main.age(a, b)",
    ]
