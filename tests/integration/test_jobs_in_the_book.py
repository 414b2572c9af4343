"""Jobs in the book of a control plane that runs: what they used, and the products that they read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from sqlalchemy import select, update
from tests.integration.test_products_in_jobs import Store, play_with_store
from tests.integration.town import Town
from tests.subscribers import Subscribers, subscribers

from datacanal.control.changes import Change
from datacanal.control.signals import CATALOGUE
from datacanal.domain.usage import Dimension, Period, Quota
from datacanal.ledger.models import AccountRow, EventRow, MeterRow, NoticeRow, SubscriptionRow
from datacanal.products.manifest import Column, Layout, Manifest
from datacanal.protocol.products import Contract
from datacanal.state.models import JobRow
from datacanal.state.product_models import VersionRow

PRODUCT = "bank.scores"
COUNT = f"SELECT count(*) AS n FROM products.{PRODUCT}"


class Market(Store):
    """The store, whose snapshots have manifests, and who subscribed."""

    def __init__(self, town: Town, store: Store) -> None:
        self.town, self.root, self._minor = town, store.root, 0
        self.book: Subscribers = subscribers(town.control.plane.ledger, town.folder / "control")

    async def release(self) -> None:
        """A product of 10 rows that only its owner and its subscribers read."""
        await self.create(PRODUCT, "listed")
        await self.promote("snp_1", 1)
        manifest = Manifest(
            product=PRODUCT, version="1.1", snapshot="snp_1", created_at=self._now(), key=["person"], rows=10,
            columns=[Column(name="person", type="BIGINT"), Column(name="score", type="BIGINT")],
            layouts=[Layout(order=["person"], file="by_key.parquet", bytes=1, sha256="")],
        ).model_dump_json()  # fmt: skip

        def write(change: Change) -> None:
            change.session.execute(update(VersionRow).values(manifest=manifest, contract=_contract()))

        await self.town.control.plane.desk.write(write)
        await self.town.refreshed("products")

    async def subscribed(self, name: str, *quotas: Quota) -> tuple[str, httpx.AsyncClient]:
        """A new subscription, and the client of its account's principal, who reads the product by now."""
        made = await asyncio.to_thread(self.book.subscription, name, PRODUCT, quotas)
        client = await self.town.control.caller("analyst", name)
        await self.town.refreshed("products")
        return made, client

    async def events(self, job: str) -> list[EventRow]:
        """Those of the job, as soon as it is in the book."""
        wanted = select(EventRow).where(EventRow.request_id.startswith(f"job:{job}")).order_by(EventRow.seq)

        def look() -> list[EventRow]:
            with self.town.control.plane.ledger.reading_rows() as session:
                return list(session.scalars(wanted))

        async with asyncio.timeout(30):
            while not (found := await asyncio.to_thread(look)):
                pass
        return found


def _contract() -> str:
    return Contract(key=["person"]).model_dump_json()


def played(folder: Path, story: Callable[[Town, Market], Awaitable[None]]) -> None:
    async def told(town: Town, store: Store) -> None:
        market = Market(town, store)
        await market.release()
        await story(town, market)

    play_with_store(folder, told)


async def ended(client: httpx.AsyncClient, sql: str = COUNT, state: str = "succeeded") -> str:
    """The job of that statement, which ended so."""
    submitted = await client.post("/v1/jobs", json={"sql": sql})
    assert submitted.status_code == 202, submitted.text
    job = str(submitted.json()["id"])
    view = (await client.get(f"/v1/jobs/{job}", params={"wait_s": 30})).json()
    assert view["state"] == state, view["problem"]
    return job


def test_a_job_over_two_sites_tells_in_the_book_what_it_used(tmp_path: Path) -> None:
    async def story(town: Town, market: Market) -> None:
        sql = (
            "SELECT p.name, sum(t.amount) FROM people.persons p JOIN transactions.payments t USING (person) GROUP BY 1"
        )
        view = await town.run(sql)
        (event,) = await market.events(view["id"])
        stats = view["stats"]
        assert (event.kind, event.request_id, event.principal) == ("job", f"job:{view['id']}", "admin")
        assert (event.scan_bytes, event.egress_bytes) == (stats["bytes_scanned"], stats["bytes_moved"])
        assert event.worker_ms == sum(step["elapsed_ms"] for step in stats["steps"])
        assert event.egress_bytes > 0
        async with asyncio.timeout(30):
            while (receipt := (await town.ended(view["id"]))["receipt"]) is None:
                pass
        assert receipt == event.id

    played(tmp_path, story)


def test_a_subscriber_reads_the_product_in_jobs_and_it_counts_on_the_subscription(tmp_path: Path) -> None:
    async def story(_town: Town, market: Market) -> None:
        quota = Quota(Dimension.ROWS, 25, Period.DAY)
        subscription, ana = await market.subscribed("ana", quota)
        job = await ended(ana)
        own, usage = await market.events(job)
        assert (own.account_id, own.product) == ("internal:ana", None)
        assert (usage.kind, usage.request_id) == ("usage", f"job:{job}:{PRODUCT}")
        assert (usage.subscription_id, usage.account_id) == (subscription, "acc_default_ana")
        assert (usage.product, usage.version, usage.snapshot) == (PRODUCT, "1.1", "snp_1")
        assert (usage.calls, usage.rows, usage.units) == (1, 10, 10)
        with market.book.store.reading_rows() as session:
            assert [row.used for row in session.scalars(select(MeterRow))] == [10]

    played(tmp_path, story)


def test_a_job_that_does_not_fit_the_quota_is_refused_before_it_begins(tmp_path: Path) -> None:
    async def story(_town: Town, market: Market) -> None:
        _, ana = await market.subscribed("ana", Quota(Dimension.ROWS, 25, Period.DAY))
        for _ in range(2):
            await market.events(await ended(ana))
        refused = await ana.post("/v1/jobs", json={"sql": COUNT})
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exhausted")
        assert refused.json()["data"]["violated-policies"] == ["rows-day"]
        assert len((await ana.get("/v1/jobs")).json()["jobs"]) == 2
        await ended(ana, "SELECT 1 AS one")
        with market.book.store.reading_rows() as session:
            assert session.scalars(select(NoticeRow)).all() == []

    played(tmp_path, story)


def test_a_subscription_that_is_used_up_by_a_job_is_told_of(tmp_path: Path) -> None:
    async def story(_town: Town, market: Market) -> None:
        _, ana = await market.subscribed("ana", Quota(Dimension.ROWS, 10, Period.DAY))
        with market.book.store.changing() as session:
            session.execute(update(AccountRow).values(webhook="https://hooks.example/"))
        await market.events(await ended(ana))
        with market.book.store.reading_rows() as session:
            causes = sorted(row.cause.rpartition(":")[2] for row in session.scalars(select(NoticeRow)))
        assert causes == ["100", "80"]

    played(tmp_path, story)


def test_whoever_is_neither_reader_nor_subscriber_is_refused_also_after_the_subscription(tmp_path: Path) -> None:
    async def story(town: Town, market: Market) -> None:
        ben = await town.control.caller("analyst", "ben")
        assert (await ben.post("/v1/jobs", json={"sql": COUNT})).status_code == 403
        subscription, ana = await market.subscribed("ana")
        await ended(ana)
        assert (await ben.post("/v1/jobs", json={"sql": COUNT})).status_code == 403
        market.book.change(SubscriptionRow, subscription, state="ended", ended_at=market._now())
        with town.control.plane.desk.signals.subscribe(CATALOGUE) as news:
            while (await ana.post("/v1/jobs", json={"sql": COUNT})).status_code != 403:
                await news.next(20)

    played(tmp_path, story)


def test_a_reader_without_a_subscription_counts_on_an_internal_account(tmp_path: Path) -> None:
    async def story(town: Town, market: Market) -> None:
        owner = await town.control.caller("publisher", "pub")
        _, usage = await market.events(await ended(owner))
        assert (usage.account_id, usage.subscription_id, usage.product) == ("internal:pub", None, PRODUCT)
        assert (usage.rows, usage.tariff_id) == (10, None)

    played(tmp_path, story)


def test_a_job_that_fails_costs_nothing_at_the_product_and_stands_in_the_book(tmp_path: Path) -> None:
    async def story(_town: Town, market: Market) -> None:
        _, ana = await market.subscribed("ana", Quota(Dimension.ROWS, 25, Period.DAY))
        failing = f"SELECT CAST('x' || person AS INTEGER) FROM products.{PRODUCT}"
        (own,) = await market.events(await ended(ana, failing, "failed"))
        assert (own.kind, own.outcome, own.rows) == ("job", "aborted", 0)

    played(tmp_path, story)


def test_jobs_that_ended_before_a_restart_are_written_after_it(tmp_path: Path) -> None:
    """As after a kill -9 between the commit of the book and the mark: the job is not marked, but stands there."""

    async def story(town: Town, market: Market) -> None:
        _, ana = await market.subscribed("ana")
        job = await ended(ana)
        before = await market.events(job)

        def forget(change: Change) -> None:
            change.session.execute(update(JobRow).values(metered_at=None))

        await town.control.plane.desk.write(forget)
        later = await ended(ana)
        assert len(await market.events(later)) == 2
        assert [event.seq for event in await market.events(job)] == [event.seq for event in before]

    played(tmp_path, story)
