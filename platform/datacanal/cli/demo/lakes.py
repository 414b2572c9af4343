"""Makes the two sample lakes as Parquet files, or finds them as it made them before."""

from __future__ import annotations

import hashlib
import inspect
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from datacanal.cli.demo import movements, people
from datacanal.planning.quoting import literal

_PAYMENTS_PER_FILE = 500_000


@dataclass(frozen=True)
class SampleSize:
    """How much of everything, at a scale; 1 is the size of the demonstration."""

    scale: float = 1.0
    seed: int = 7

    @property
    def customers(self) -> int:
        return max(2_000, int(200_000 * self.scale))

    @property
    def accounts(self) -> int:
        return int(self.customers * 1.3)

    @property
    def payments(self) -> int:
        return max(20_000, int(2_000_000 * self.scale))

    @property
    def loans(self) -> int:
        return self.customers // 5

    @property
    def offers(self) -> int:
        return self.customers // 2


def ensure_lakes(directory: Path, size: SampleSize) -> bool:
    """Make `directory`/transactions and `directory`/users unless they are there at this size; True when made."""
    marker = directory / ".made"
    wanted = _fingerprint(size)
    if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
        return False
    marker.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        _prepare(connection, size)
        for name, statements in _datasets(size):
            _write_dataset(connection, directory / name, statements)
    marker.write_text(wanted, encoding="utf-8")
    return True


def _fingerprint(size: SampleSize) -> str:
    """What decides every byte: the size, the seed, the generator's text and the engine that writes."""
    text = inspect.getsource(people) + inspect.getsource(movements)
    return f"{hashlib.sha256(text.encode()).hexdigest()} {size} {duckdb.__version__}\n"


def _prepare(connection: duckdb.DuckDBPyConnection, size: SampleSize) -> None:
    connection.execute("SET memory_limit = '1GB'; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    for name in ("seed", "customers", "accounts", "loans", "offers"):
        connection.execute(f"SET VARIABLE {name} = {int(getattr(size, name))}")
    connection.execute(people.MACROS)
    connection.execute(movements.LOAN_MACROS)


def _datasets(size: SampleSize) -> Iterator[tuple[str, list[str]]]:
    yield "users/cities", [people.CITIES]
    yield "users/customers", [people.CUSTOMERS]
    yield "users/accounts", [people.ACCOUNTS]
    yield "users/devices", [people.DEVICES]
    yield "transactions/cards", [movements.CARDS]
    yield "transactions/loans", [movements.LOANS]
    yield "transactions/loan_payments", [movements.LOAN_PAYMENTS]
    yield "transactions/offers", [movements.OFFERS]
    starts = range(0, size.payments, _PAYMENTS_PER_FILE)
    yield (
        "transactions/payments",
        [movements.payments(start, min(start + _PAYMENTS_PER_FILE, size.payments), size.payments) for start in starts],
    )


def _write_dataset(connection: duckdb.DuckDBPyConnection, directory: Path, statements: list[str]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for number, statement in enumerate(statements):
        file = literal(str(directory / f"part-{number:03}.parquet"))
        connection.execute(f"COPY ({statement}) TO {file} (FORMAT parquet, COMPRESSION zstd)")
