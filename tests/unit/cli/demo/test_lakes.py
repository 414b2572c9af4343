"""The sample lakes are the same each time, agree with each other, and hold what was planted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest

from datacanal.cli.demo.lakes import SampleSize, ensure_lakes

SMALL = SampleSize(scale=0.05)


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both lakes, made once."""
    directory = tmp_path_factory.mktemp("lakes")
    assert ensure_lakes(directory, SMALL)
    return directory


@pytest.fixture(scope="module")
def bank(lakes: Path) -> duckdb.DuckDBPyConnection:
    """One DuckDB over both."""
    connection = duckdb.connect()
    for lake in ("transactions", "users"):
        connection.execute(f"CREATE SCHEMA {lake}")
        for dataset in sorted((lakes / lake).iterdir()):
            connection.execute(f"CREATE VIEW {lake}.{dataset.name} AS FROM read_parquet('{dataset}/*.parquet')")
    return connection


def digests(directory: Path) -> dict[str, str]:
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*.parquet"))
    }


def test_the_same_size_gives_the_same_bytes(lakes: Path, tmp_path: Path) -> None:
    ensure_lakes(tmp_path, SMALL)
    assert digests(tmp_path) == digests(lakes)


def test_lakes_that_are_there_are_not_made_again(lakes: Path) -> None:
    assert not ensure_lakes(lakes, SMALL)


def test_another_seed_gives_other_lakes(lakes: Path, tmp_path: Path) -> None:
    ensure_lakes(tmp_path, SampleSize(scale=0.01, seed=8))
    assert digests(tmp_path).keys() == digests(lakes).keys()
    assert digests(tmp_path) != digests(lakes)


def test_the_demonstration_has_millions_of_payments_and_hundreds_of_thousands_of_people() -> None:
    assert SampleSize().payments >= 2_000_000
    assert SampleSize().customers >= 200_000


@pytest.mark.parametrize(
    ("child", "key", "parent"),
    [
        ("transactions.payments", "(account_id, customer_id)", "users.accounts"),
        ("transactions.payments", "customer_id", "users.customers"),
        ("transactions.loans", "customer_id", "users.customers"),
        ("transactions.offers", "customer_id", "users.customers"),
        ("transactions.cards", "account_id", "users.accounts"),
        ("transactions.loan_payments", "(loan_id, customer_id)", "transactions.loans"),
        ("users.devices", "customer_id", "users.customers"),
        ("users.customers", "city", "users.cities"),
    ],
)
def test_every_reference_has_its_target(bank: duckdb.DuckDBPyConnection, child: str, key: str, parent: str) -> None:
    orphans = f"SELECT count(*) FROM {child} WHERE {key} NOT IN (SELECT {key.strip('()')} FROM {parent})"
    assert bank.sql(orphans).fetchall() == [(0,)]


def test_the_ring_shares_devices_and_pays_in_a_circle(bank: duckdb.DuckDBPyConnection) -> None:
    found = bank.sql("""
        WITH shared AS (SELECT device_id FROM users.devices GROUP BY ALL HAVING count(DISTINCT customer_id) > 3),
        member AS (SELECT DISTINCT customer_id FROM users.devices SEMI JOIN shared USING (device_id))
        SELECT count(DISTINCT p.customer_id), count(DISTINCT a.customer_id), min(p.amount) >= 9000
        FROM transactions.payments AS p
        JOIN users.accounts AS a ON a.account_id = p.counterparty_account_id
        WHERE p.memo LIKE 'faktura%'
          AND p.customer_id IN (FROM member) AND a.customer_id IN (FROM member)
    """)
    assert found.fetchall() == [(24, 24, True)]


def test_one_cohort_pays_late(bank: duckdb.DuckDBPyConnection) -> None:
    rows = bank.sql("""
        SELECT acquired_by, year(since), avg((paid_on IS NULL OR paid_on > due_on)::INTEGER) AS late
        FROM transactions.loan_payments JOIN users.customers USING (customer_id)
        WHERE year(since) BETWEEN 2020 AND 2023 GROUP BY ALL ORDER BY late DESC LIMIT 2
    """).fetchall()
    assert rows[0][:2] == ("web_partner", 2022)
    assert rows[0][2] > 3 * rows[1][2]


def test_one_group_answers_to_one_offer(bank: duckdb.DuckDBPyConnection) -> None:
    rows = bank.sql("""
        SELECT campaign, segment = 'family' AND year(birth_date) BETWEEN 1986 AND 1994 AS persuadable,
               avg(responded::INTEGER) FILTER (is_treated) - avg(responded::INTEGER) FILTER (NOT is_treated) AS uplift
        FROM transactions.offers JOIN users.customers USING (customer_id) GROUP BY ALL ORDER BY uplift DESC
    """).fetchall()
    assert rows[0][:2] == ("cashback", True)
    assert rows[0][2] > 0.08
    assert all(abs(row[2]) < 0.05 for row in rows[1:])


def test_money_and_merchants_are_skewed(bank: duckdb.DuckDBPyConnection) -> None:
    [(share_of_top_percent,)] = bank.sql("""
        SELECT sum(amount) FILTER (amount > high) / sum(amount)
        FROM transactions.payments, (SELECT quantile_cont(amount, 0.99) AS high FROM transactions.payments)
    """).fetchall()
    [(share_of_top_merchant,)] = bank.sql("""
        SELECT max(n) / sum(n) FROM (SELECT count(merchant_id) AS n FROM transactions.payments GROUP BY merchant_id)
    """).fetchall()
    assert share_of_top_percent > 0.1
    assert share_of_top_merchant > 0.03
