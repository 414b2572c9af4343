"""Notices of accounts by webhook: who may set one, how they are signed, and that each arrives at least once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from tests.integration.receivers import NAME, Received, Receiver, Town
from tests.products import ProductHome, Running, serving

from datacanal.gateway.notifying import AT_ONCE, Notifier, pause_s
from datacanal.gateway.webhook_signing import WebhookSecrets
from datacanal.ledger.models import AccountRow, NoticeRow
from datacanal.ledger.notices import Addressee, NewNotice, take_due, write_notice
from datacanal.ledger.store import LedgerStore, open_ledger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Book:
    """A book with accounts and a clock that a test turns."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store: LedgerStore = open_ledger(home)
        self.at = NOON
        self._count = 0

    def now(self) -> datetime:
        return self.at

    def account(self, name: str, webhook: str | None = None, tenant: str = "default") -> str:
        row = AccountRow(
            id=f"acc_{name}", tenant=tenant, principal=name, name=name, webhook=webhook, webhook_turn=1,
            issuer=None, subject=None, created_at=NOON, closed_at=None,
        )  # fmt: skip
        with self.store.writing_rows() as session:
            session.add(row)
        return f"acc_{name}"

    def secret(self, account: str, turn: int = 1) -> str:
        return WebhookSecrets(self.home).text_of(account, turn)

    def notice(self, account: str, percent: int = 80) -> str:
        self._count += 1
        notice = f"ntc_{self._count:04}"
        told = NewNotice(notice, f"quota:{notice}", "quota.reached", {"subscription": "sub_1", "percent": percent})
        with self.store.writing() as connection:
            write_notice(connection, Addressee(account, "default", account), told, self.at)
        return notice

    def rows(self) -> dict[str, NoticeRow]:
        with self.store.reading_rows() as session:
            return {row.id: row for row in session.scalars(select(NoticeRow))}

    def notifier(self, town: Town, **more: Any) -> Notifier:
        return Notifier(self.store, WebhookSecrets(self.home), town.poster(**more), self.now, lambda: 1.0)

    async def until(self, is_so: Callable[[dict[str, NoticeRow]], bool]) -> dict[str, NoticeRow]:
        """The notices, as soon as they are so."""
        async with asyncio.timeout(30):
            while not is_so(rows := await asyncio.to_thread(self.rows)):
                pass
        return rows


@contextmanager
def book_in(folder: Path) -> Iterator[Book]:
    book = Book(folder / "home")
    try:
        yield book
    finally:
        book.store.close()


@asynccontextmanager
async def running(notifier: Notifier) -> AsyncIterator[None]:
    task = asyncio.create_task(notifier.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def played(folder: Path, story: Callable[[Book, Town], Awaitable[None]]) -> None:
    with book_in(folder) as book:
        asyncio.run(story(book, Town(folder)))


def test_a_notice_arrives_signed_as_the_specification_says(tmp_path: Path) -> None:
    async def story(book: Book, town: Town) -> None:
        async with town.open(Receiver()) as receiver, running(book.notifier(town)):
            account = book.account("dev", receiver.url)
            notice = book.notice(account, 100)
            (got,) = await receiver.after(1)
            assert (got.notice, int(got.headers["webhook-timestamp"])) == (notice, int(NOON.timestamp()))
            assert got.document == {
                "type": "quota.reached",
                "timestamp": "2026-03-01T12:00:00.000+00:00",
                "data": {"subscription": "sub_1", "percent": 100},
            }
            assert got.is_signed_with(book.secret(account))
            assert not got.is_signed_with(book.secret(account, turn=2))
            assert not got.is_signed_with(book.secret("acc_other"))
            assert not Received(got.head, got.headers, got.body + b" ").is_signed_with(book.secret(account))
            rows = await book.until(lambda rows: rows[notice].state == "delivered")
            assert (rows[notice].attempts, rows[notice].delivered_at) == (1, NOON)

    played(tmp_path, story)


def test_the_secret_has_the_length_that_the_specification_asks_for(tmp_path: Path) -> None:
    secret = WebhookSecrets(tmp_path).text_of("acc_1", 1)
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    assert WebhookSecrets(tmp_path).text_of("acc_1", 1) == secret


def test_what_failed_is_sent_again_later_under_the_same_id(tmp_path: Path) -> None:
    async def story(book: Book, town: Town) -> None:
        answers = [b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 302 Go\r\nLocation: https://8.8.8.8/\r\n\r\n"]
        answers.append(b"HTTP/1.1 200 OK\r\n\r\n")
        async with town.open(Receiver(answers)) as receiver, running(book.notifier(town)):
            notice = book.notice(book.account("dev", receiver.url))
            for attempt, words in ((1, "status 500"), (2, "status 302")):
                rows = await book.until(lambda rows: words in (rows[notice].problem or ""))  # noqa: B023
                assert rows[notice].due_at == book.at + timedelta(seconds=pause_s(attempt, 1.0))
                book.at = rows[notice].due_at
            rows = await book.until(lambda rows: rows[notice].state == "delivered")
            assert (rows[notice].attempts, rows[notice].problem) == (3, None)
            assert {got.notice for got in receiver.received} == {notice}

    played(tmp_path, story)


def test_pauses_grow_to_an_hour_and_are_spread() -> None:
    longest = [pause_s(attempt, 1.0) for attempt in range(1, 40)]
    assert longest == sorted(longest)
    assert (longest[0], longest[-1]) == (5.0, 3600.0)
    assert pause_s(1, 0.0) == 2.5


def test_after_a_day_a_notice_is_given_up(tmp_path: Path) -> None:
    async def story(book: Book, town: Town) -> None:
        town.resolutions = [["10.0.0.1"]]
        account = book.account("dev", f"https://{NAME}/")
        async with running(book.notifier(town)):
            notice = book.notice(account)
            rows = await book.until(lambda rows: rows[notice].problem is not None)
            assert "leads to 10.0.0.1, which is not a public address" in (rows[notice].problem or "")
            book.at = NOON + timedelta(hours=24, seconds=1)
            rows = await book.until(lambda rows: rows[notice].state == "failed")
            assert rows[notice].attempts == 1
            assert rows[notice].problem

    played(tmp_path, story)


def test_what_was_delivered_but_not_marked_is_delivered_again_under_the_same_id(tmp_path: Path) -> None:
    """As after a kill between the answer of the receiver and the commit that says so."""

    async def story(book: Book, town: Town) -> None:
        async with town.open(Receiver()) as receiver:
            notice = book.notice(book.account("dev", receiver.url))
            with book.store.writing() as connection:
                (taken,) = take_due(connection, book.now(), 1, [])
            assert await town.poster().post(taken.url, {"webhook-id": taken.id}, taken.body) == 204
            async with running(book.notifier(town)):
                rows = await asyncio.to_thread(book.rows)
                assert (rows[notice].state, len(receiver.received)) == ("waiting", 1)
                book.at += timedelta(seconds=31)
                await receiver.after(2)
                await book.until(lambda rows: rows[notice].state == "delivered")
            assert [got.notice for got in receiver.received] == [notice, notice]

    played(tmp_path, story)


def test_what_one_gateway_took_no_other_takes(tmp_path: Path) -> None:
    with book_in(tmp_path) as book:
        for number in range(20):
            book.notice(book.account(f"dev{number:02}", f"https://{NAME}/"))
        taken: list[str] = []
        for _ in range(4):
            with book.store.writing() as connection:
                taken += [notice.id for notice in take_due(connection, book.now(), AT_ONCE, [])]
        assert sorted(taken) == sorted(book.rows())


def test_one_receiver_gets_one_at_a_time_in_order(tmp_path: Path) -> None:
    async def story(book: Book, town: Town) -> None:
        async with town.open(Receiver()) as receiver:
            account = book.account("dev", receiver.url)
            notices = [book.notice(account) for _ in range(5)]
            async with running(book.notifier(town)):
                assert [got.notice for got in await receiver.after(5)] == notices

    played(tmp_path, story)


def test_a_slow_receiver_holds_nobody_else(tmp_path: Path) -> None:
    async def story(book: Book, town: Town) -> None:
        released = asyncio.Event()

        async def waits(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await released.wait()
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()

        async with town.listening(waits) as port, town.open(Receiver()) as quick:
            slow = book.account("slow", f"https://{NAME}:{port}/")
            held = [book.notice(slow) for _ in range(3 * AT_ONCE)]
            told = [book.notice(book.account(f"dev{number}", quick.url)) for number in range(AT_ONCE - 1)]
            async with running(book.notifier(town, timeout_s=60)):
                rows = await book.until(lambda rows: all(rows[each].state == "delivered" for each in told))
                assert [rows[each].attempts for each in held] == [1] + [0] * (len(held) - 1)
                released.set()
                await book.until(lambda rows: all(row.state == "delivered" for row in rows.values()))

    played(tmp_path, story)


def test_at_most_eight_are_under_way_at_once(tmp_path: Path) -> None:
    async def story(book: Book, town: Town) -> None:
        under_way, most = 0, 0

        async def counts(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.05)
            under_way -= 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()

        async with town.listening(counts) as port, running(book.notifier(town, timeout_s=60)):
            for number in range(3 * AT_ONCE):
                book.notice(book.account(f"dev{number}", f"https://{NAME}:{port}/"))
            await book.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
        assert 1 < most <= AT_ONCE

    played(tmp_path, story)


def test_without_a_webhook_notices_wait_until_there_is_one(tmp_path: Path) -> None:
    async def story(book: Book, town: Town) -> None:
        async with town.open(Receiver()) as receiver:
            notice = book.notice(book.account("dev"))
            with book.store.writing() as connection:
                assert take_due(connection, book.now(), 8, []) == []
            with book.store.writing_rows() as session:
                session.get_one(AccountRow, "acc_dev").webhook = receiver.url
            async with running(book.notifier(town)):
                assert [got.notice for got in await receiver.after(1)] == [notice]

    played(tmp_path, story)


# ---------------------------------------------------------------- the routes

Scene = Callable[[Running, ProductHome, Book], Awaitable[None]]
WEBHOOK = "/v1/accounts/acc_dev/webhook"
GOOD = {"url": "https://hooks.example.com/datacanal"}


def served(folder: Path, scene: Scene) -> None:
    async def play() -> None:
        products = ProductHome(folder)
        with book_in(folder) as book:
            book.account("dev")
            async with serving(products) as running_gateway:
                await scene(running_gateway, products, book)

    asyncio.run(play())


@asynccontextmanager
async def client_of(
    running: Running, home: ProductHome, name: str, role: str = "developer", tenant: str = "default"
) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose token the gateway knows."""
    token = home.token(name, role, tenant=tenant)
    await running.newest(home)
    async with running.client(token) as client:
        yield client


def test_the_secret_is_shown_once_and_is_another_with_every_address(tmp_path: Path) -> None:
    async def scene(running: Running, home: ProductHome, book: Book) -> None:
        async with client_of(running, home, "dev") as client:
            made = [(await client.put(WEBHOOK, json=GOOD)).json() for _ in range(2)]
            assert [each["secret"] for each in made] == [book.secret("acc_dev", 2), book.secret("acc_dev", 3)]
            shown = await client.get(WEBHOOK)
            assert shown.json() == {**GOOD, "notices": []}
            dump = (home.home / "ledger.sqlite").read_bytes() + (home.home / "ledger.sqlite-wal").read_bytes()
            assert GOOD["url"].encode() in dump
            for each in made:
                assert each["secret"].encode() not in dump
                assert base64.b64decode(each["secret"].removeprefix("whsec_")) not in dump

    served(tmp_path, scene)


def test_a_test_is_noted_and_what_became_of_it_is_shown(tmp_path: Path) -> None:
    async def scene(running: Running, home: ProductHome, book: Book) -> None:
        async with client_of(running, home, "dev") as client:
            assert (await client.post(f"{WEBHOOK}/test")).json()["code"] == "not_found"
            await client.put(WEBHOOK, json={"url": "https://no-such-name.invalid/"})
            noted = await client.post(f"{WEBHOOK}/test")
            assert (noted.status_code, noted.json()["type"], noted.json()["state"]) == (202, "webhook.test", "waiting")
            notice = noted.json()["id"]
            await book.until(lambda rows: rows[notice].problem is not None)
            (shown,) = (await client.get(WEBHOOK)).json()["notices"]
            assert (shown["id"], shown["state"], shown["attempts"]) == (notice, "waiting", 1)
            assert (await client.delete(WEBHOOK)).status_code == 204
            assert (await client.get(WEBHOOK)).json()["url"] is None

    served(tmp_path, scene)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://0x7f.1/", "http://example.com/", "https://a@b.example/"]
)
def test_a_private_or_encoded_address_is_refused_and_the_old_one_stays(tmp_path: Path, url: str) -> None:
    async def scene(running: Running, home: ProductHome, _book: Book) -> None:
        async with client_of(running, home, "dev") as client:
            await client.put(WEBHOOK, json=GOOD)
            refused = await client.put(WEBHOOK, json={"url": url})
            assert (refused.status_code, refused.json()["code"]) == (400, "webhook_refused")
            assert refused.json()["remedy"]
            assert (await client.get(WEBHOOK)).json()["url"] == GOOD["url"]

    served(tmp_path, scene)


async def _every_route(client: httpx.AsyncClient, path: str) -> list[int]:
    answers = [
        await client.put(path, json=GOOD),
        await client.get(path),
        await client.post(f"{path}/test"),
        await client.delete(path),
    ]
    return [answer.status_code for answer in answers]


def test_an_account_has_its_owners_and_its_admins_webhook_and_nobody_elses(tmp_path: Path) -> None:
    async def scene(running: Running, home: ProductHome, _book: Book) -> None:
        strangers = (("eve", "developer", "default"), ("dev", "developer", "other"), ("boss", "admin", "other"))
        for stranger in strangers:
            async with client_of(running, home, *stranger) as client:
                for path in (WEBHOOK, "/v1/accounts/acc_none/webhook"):
                    assert await _every_route(client, path) == [404] * 4
        for owner in (("dev", "developer"), ("boss", "admin")):
            async with client_of(running, home, *owner) as client:
                assert await _every_route(client, WEBHOOK) == [200, 200, 202, 204]
        async with running.client(None) as client:
            assert await _every_route(client, WEBHOOK) == [401] * 4

    served(tmp_path, scene)


def test_bad_bodies_are_each_told(tmp_path: Path) -> None:
    async def scene(running: Running, home: ProductHome, _book: Book) -> None:
        async with client_of(running, home, "dev") as client:
            for body in ({}, {"url": 1}, {"url": None}, {**GOOD, "secret": "mine"}, {"url": "x" * 10_000}):
                answer = await client.put(
                    WEBHOOK, content=json.dumps(body), headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == 400, body

    served(tmp_path, scene)
