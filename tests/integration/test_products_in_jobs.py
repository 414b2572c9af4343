"""Data products as datasets of jobs: `products.publisher.name` in SQL, at the site beside their store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from tests.integration.town import Town, play

from datacanal.control.changes import Change
from datacanal.control.signals import CATALOGUE
from datacanal.protocol.products import Contract
from datacanal.state.product_models import ChannelRow, ProductRow, VersionRow
from datacanal.testing.tasks import write_parquet

OF_PUB = {"tenant": "default", "principal": "pub"}
JOIN = """SELECT p.name, round(sum(t.amount * s.score), 2) AS total FROM products.bank.scores s
JOIN people.persons p USING (person) JOIN transactions.payments t USING (person) GROUP BY p.name ORDER BY p.name"""


class Store:
    """The store of products, and the rows that say what of it is stable."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.root = town.folder / "products"
        self.root.mkdir()
        self._minor = 0

    def file(self, snapshot: str, product: str = "bank.scores") -> Path:
        return self.root / product / snapshot / "by_key.parquet"

    async def create(self, product: str = "bank.scores", visibility: str = "internal", *readers: str) -> None:
        row = ProductRow(
            **OF_PUB, name=product, title="", description="", contract="{}", visibility=visibility,
            readers=json.dumps(readers), sample="{}", keep=10, created_at=self._now(),
        )  # fmt: skip
        await self._write(row)

    async def promote(self, snapshot: str, factor: float, product: str = "bank.scores") -> None:
        """A version whose scores are that many times the person, stable at once."""
        write_parquet(self.file(snapshot, product), f"SELECT range person, range * {factor} score FROM range(10)")
        self._minor += 1
        job = await self.town.submit(f"SELECT {self._minor} AS n")
        version = VersionRow(
            **OF_PUB, snapshot=snapshot, product=product, major=1, minor=self._minor, state="stable", job_id=job,
            lineage="{}", contract=Contract(key=["person"]).model_dump_json(), created_at=self._now(),
        )  # fmt: skip
        await self._write(version)
        await self._write(ChannelRow(**OF_PUB, product=product, channel="stable", snapshot=snapshot, at=self._now()))

    async def retire(self, product: str) -> None:
        def write(change: Change) -> None:
            change.session.get_one(ProductRow, ("default", product)).retired_at = change.clock.now()

        await self.town.control.plane.desk.write(write)

    async def _write(self, row: Any) -> None:
        await self.town.control.plane.desk.write(lambda change: change.session.add(row))

    def _now(self) -> Any:
        return self.town.control.plane.desk.clock.now()


def play_with_store(folder: Path, story: Callable[[Town, Store], Awaitable[None]]) -> None:
    """Two sites; the one of the transactions stands beside the store."""

    async def told(town: Town) -> None:
        store = Store(town)
        await town.open("core", products=store.root)
        await town.open("users")
        await story(town, store)

    play(folder, told)


def expected(town: Town, file: Path) -> list[dict[str, Any]]:
    """What DuckDB says over the very files."""
    sql = JOIN.replace("products.bank.scores", f"'{file}'")
    for lake, dataset in (("people", "persons"), ("transactions", "payments")):
        sql = sql.replace(f"{lake}.{dataset}", f"'{town.folder / lake / dataset}/*.parquet'")
    with duckdb.connect() as connection:
        names = [column[0] for column in connection.sql(sql).description]
        return [dict(zip(names, row, strict=True)) for row in connection.sql(sql).fetchall()]


async def told_of(town: Town, name: str, snapshot: str | None) -> None:
    """Until the catalogue has the dataset at that snapshot, or no longer has it; nobody asks for a refresh."""
    with town.control.plane.desk.signals.subscribe(CATALOGUE) as news:
        while True:
            found = await town.admin.get(f"/v1/datasets/products.{name}")
            if (found.json()["snapshot"] if found.is_success else None) == snapshot:
                return
            await news.next(20)


def test_a_product_is_joined_with_lakes_of_both_sites(tmp_path: Path) -> None:
    async def story(town: Town, store: Store) -> None:
        await store.create()
        await store.promote("snp_1", 0.5)
        await town.refreshed("products")
        assert await town.rows(JOIN) == expected(town, store.file("snp_1"))
        shown = (await town.admin.get("/v1/datasets/products.bank.scores")).json()
        assert (shown["snapshot"], shown["key"], shown["rows"], shown["site"]) == ("snp_1", ["person"], 10, "core")

    play_with_store(tmp_path, story)


def test_a_promotion_and_a_rollback_are_seen_by_the_jobs_after_them(tmp_path: Path) -> None:
    async def story(town: Town, store: Store) -> None:
        await store.create()
        await store.promote("snp_1", 0.5)
        await told_of(town, "bank.scores", "snp_1")
        await store.promote("snp_2", 2)
        await told_of(town, "bank.scores", "snp_2")
        assert await town.rows(JOIN) == expected(town, store.file("snp_2"))
        await store._write(
            ChannelRow(**OF_PUB, product="bank.scores", channel="stable", snapshot="snp_1", at=store._now())
        )
        await town.refreshed("products")
        assert await town.rows(JOIN) == expected(town, store.file("snp_1"))

    play_with_store(tmp_path, story)


@pytest.mark.parametrize("visibility", ["private", "listed"])
def test_only_readers_read_what_is_not_internal(tmp_path: Path, visibility: str) -> None:
    async def story(town: Town, store: Store) -> None:
        await store.create("bank.scores", visibility, "group:risk", "principal:ana")
        await store.promote("snp_1", 1)
        await town.refreshed("products")
        for name, status in {"ana": 202, "pub": 202, "ben": 403}.items():
            caller = await town.control.caller("analyst", name)
            assert (await _asks(caller)).status_code == status, name

    play_with_store(tmp_path, story)


async def _asks(caller: httpx.AsyncClient) -> httpx.Response:
    return await caller.post("/v1/jobs", json={"sql": "SELECT count(*) FROM products.bank.scores"})


def test_a_retired_product_is_no_dataset_any_more(tmp_path: Path) -> None:
    async def story(town: Town, store: Store) -> None:
        for product in ("bank.scores", "bank.others"):
            await store.create(product)
            await store.promote(f"snp_{product}", 1, product)
        await told_of(town, "bank.scores", "snp_bank.scores")
        await store.retire("bank.scores")
        await told_of(town, "bank.scores", None)
        answer = await _asks(town.admin)
        assert (answer.status_code, answer.json()["code"]) == (422, "dataset_not_found")
        assert (await town.rows("SELECT count(*) AS n FROM products.bank.others")) == [{"n": 10}]

    play_with_store(tmp_path, story)


def test_a_snapshot_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    async def story(town: Town, store: Store) -> None:
        await store.create()
        await store.promote("snp_1", 1)
        await asyncio.to_thread(store.file("snp_1").unlink)
        await town.refreshed("products")
        answer = await _asks(town.admin)
        assert (answer.status_code, answer.json()["code"]) == (503, "dataset_unreadable")
        assert "snapshot snp_1" in answer.json()["detail"]

    play_with_store(tmp_path, story)
