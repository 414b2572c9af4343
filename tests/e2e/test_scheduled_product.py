"""The running service: a schedule makes versions of a product, and jobs of both sites use the product as a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from datacanal.cli.demo.service import free_layout, running_service
from datacanal.cli.init import make_directory
from datacanal.client import Client
from datacanal.client.requests import statement_request
from datacanal.configuration import load_configuration
from datacanal.protocol.products import Contract, ProductRequest

TOTALS = "SELECT customer_id, sum(amount) AS total FROM transactions.payments GROUP BY customer_id"
JOIN = "SELECT c.name, t.total FROM {totals} AS t JOIN {customers} AS c USING (customer_id) ORDER BY c.name"


def make_lakes(directory: Path) -> None:
    with duckdb.connect() as connection:
        for dataset, sql in {
            "transactions/payments": "SELECT i % 3 AS customer_id, i::DECIMAL(9, 2) AS amount FROM range(999) t(i)",
            "users/customers": "SELECT * FROM (VALUES (0, 'Žofie'), (1, '欧阳'), (2, 'Ann')) AS t(customer_id, name)",
        }.items():
            (directory / "lakes" / dataset).mkdir(parents=True)
            connection.execute(f"COPY ({sql}) TO '{directory / 'lakes' / dataset / 'part.parquet'}' (FORMAT parquet)")


def beside_the_store(configuration: Path) -> None:
    """The last site has the store of products as a lake; the owner of the payments lets their totals out."""
    with configuration.open("a") as file:
        file.write('\n[[sites.lakes]]\nname = "products"\nurl = "products"\n')
    policy = configuration.parent / "transactions.policy.toml"
    policy.write_text('default_class = "public"\n[datasets.payments]\npublish = "allowed"\n')


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    configuration = make_directory(tmp_path / "bank", free_layout())
    make_lakes(tmp_path / "bank")
    beside_the_store(configuration)
    monkeypatch.setenv("DATACANAL_URL", load_configuration(configuration).control_url)
    monkeypatch.setenv("DATACANAL_HOME", str(tmp_path / "bank" / "state"))
    monkeypatch.delenv("DATACANAL_TOKEN", raising=False)
    with running_service(configuration), Client() as made:
        yield made


def run_to_its_end(client: Client, schedule: str, count: int) -> None:
    """One more run of the schedule, which is the `count`th."""
    client.schedules.run(schedule)
    while len(found := client.schedules.runs(schedule)) < count or found[0].finished_at is None:
        pass
    assert (found[0].state, found[0].problem) == ("succeeded", None)


def test_a_scheduled_product_is_a_dataset_of_the_next_job(client: Client, tmp_path: Path) -> None:
    contract = Contract(key=["customer_id"])
    client.products.create(ProductRequest(name="bank.totals", title="Totals", contract=contract, visibility="internal"))
    client.schedules.create(
        "totals", "0 6 * * *", statement_request(TOTALS), timezone="Asia/Shanghai", product="bank.totals", promote=True
    )
    for count in (1, 2):
        run_to_its_end(client, "totals", count)
    assert [run.version for run in client.schedules.runs("totals")] == ["1.1", "1.0"]
    version = client.products.version("bank.totals", "1.1")
    assert (version.state, version.lineage.schedule) == ("stable", "totals")
    client.refresh_lake("products")
    job = client.sql(JOIN.format(totals="products.bank.totals", customers="users.customers"))
    assert job.to_arrow().to_pylist() == expected(tmp_path / "bank", version.snapshot)
    assert client.dataset("products.bank.totals").snapshot == version.snapshot


def expected(directory: Path, snapshot: str) -> list[dict[str, object]]:
    """What DuckDB says over the very files."""
    totals = f"'{directory}/products/bank.totals/{snapshot}/by_key.parquet'"
    customers = f"'{directory}/lakes/users/customers/*.parquet'"
    with duckdb.connect() as connection:
        found = connection.sql(JOIN.format(totals=totals, customers=customers)).to_arrow_table()
    rows: list[dict[str, object]] = found.to_pylist()
    return rows
