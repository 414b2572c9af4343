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

_FORMATS = {
    "DATE": "%Y-%m-%d",
    "TIME": "%H:%M:%S.%f",
    "TIMETZ": "%H:%M:%S.%f+00",
    "TIMESTAMP": "%Y-%m-%d %H:%M:%S.%f",
    "TIMESTAMPTZ": "%Y-%m-%d %H:%M:%S.%f+00",
}


def instant_statements(now: str) -> list[str]:
    """Statements that fix the clock of a DuckDB connection at `now` (ISO 8601 with a zone).

    Run them on a connection whose time zone is UTC, before the configuration is locked. The macros shadow
    the built-in functions, their keyword forms (`current_date`) included. Raises `ValueError` for any other text.
    """
    moment = datetime.fromisoformat(now)
    if moment.tzinfo is None:
        raise ValueError(f"an instant with a time zone is needed, not {now!r}")
    literals = {kind: f"{kind} '{moment.astimezone(UTC):{spelled}}'" for kind, spelled in _FORMATS.items()}
    return [
        *(f"CREATE OR REPLACE MACRO {name}() AS {literals[kind]}" for name, kind in _TYPES.items()),
        f"CREATE OR REPLACE MACRO ago(i) AS {literals['TIMESTAMPTZ']} - i",
        f"CREATE OR REPLACE MACRO age(a) AS system.main.age({literals['DATE']}, a), (a, b) AS system.main.age(a, b)",
    ]
