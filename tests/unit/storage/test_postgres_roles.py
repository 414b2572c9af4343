"""What docs/postgresql.md lets an administrator do: gateways that can read and charge, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import select, update
from tests.plugins.postgres import PostgresServer

from datacanal import state
from datacanal.control.store.opening import open_store
from datacanal.ledger.models import BookRow
from datacanal.ledger.store import open_ledger
from datacanal.state.product_models import RevisionRow
from datacanal.storage.databases import open_to_read
from datacanal.testing.clock_fake import FakeClock

pytestmark = pytest.mark.postgres
PAGE = Path(__file__).parents[3] / "docs" / "postgresql.md"
GATEWAY = "datacanal_gateway"
REFUSED = (
    "INSERT INTO state.revisions VALUES (2, 0, 't', 'p')",
    "DELETE FROM state.jobs",
    "UPDATE ledger.events SET units = 0",
    "DELETE FROM ledger.events",
    "TRUNCATE ledger.events",
    "DELETE FROM ledger.checkpoints",
    "UPDATE ledger.invoices SET number = ''",
    "CREATE TABLE ledger.mine (id int)",
    "CREATE TABLE state.mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE SCHEMA mine",
)


@pytest.fixture(scope="module")
def prepared(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The page's statements, each as who it says, and the control plane's first start between them."""
    database, gateway, rights = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    _run(postgres.connected(), database)
    owner, home = postgres.url("datacanal", "datacanal"), tmp_path_factory.mktemp("home")
    open_store(home, FakeClock(), owner).dispose()
    open_ledger(home, owner).close()
    _run(postgres.connected(), gateway)
    _run(postgres.connected("datacanal", "datacanal"), rights)
    yield postgres
    postgres.run("DROP DATABASE datacanal WITH (FORCE)")
    postgres.run(f"DROP ROLE {GATEWAY}")
    postgres.run("DROP ROLE datacanal")


def _run(connection: psycopg.Connection[tuple[object, ...]], statements: str) -> None:
    with connection:
        for each in statements.split(";\n"):
            connection.execute(each.encode())


def test_a_gateway_s_role_reads_the_state_and_writes_the_book(prepared: PostgresServer, tmp_path: Path) -> None:
    address = prepared.url("datacanal", GATEWAY)
    engine = open_to_read(address, tmp_path, state.PLACE)
    with engine.connect() as connection:
        assert connection.scalar(select(RevisionRow.number)) == 0
    engine.dispose()
    store = open_ledger(tmp_path, address)
    with store.writing() as connection:
        connection.execute(update(BookRow).values(seq=BookRow.seq))
    store.close()


@pytest.mark.parametrize("statement", REFUSED)
def test_it_can_do_nothing_else(prepared: PostgresServer, statement: str) -> None:
    with prepared.connected("datacanal", GATEWAY) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


def test_not_even_the_owner_changes_what_was_used(prepared: PostgresServer) -> None:
    with (
        prepared.connected("datacanal", "datacanal") as connection,
        pytest.raises(psycopg.errors.RaiseException, match="append-only"),
    ):
        connection.execute("DELETE FROM ledger.events")
