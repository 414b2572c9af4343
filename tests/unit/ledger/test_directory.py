"""Who may call, as gateways remember it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.subscribers import EARLY, Subscribers, subscribers

from datacanal.domain.usage import Burst, Dimension, Period, Quota
from datacanal.ledger.directory import Directory
from datacanal.ledger.keys import parsed
from datacanal.ledger.models import AccountRow, KeyRow, SubscriptionRow
from datacanal.ledger.store import open_ledger

ROWS = Quota(Dimension.ROWS, 10_000, Period.DAY)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[tuple[Subscribers, Directory]]:
    store = open_ledger(tmp_path)
    directory = Directory(store)
    directory.open()
    yield subscribers(store, tmp_path), directory
    directory.close()
    store.close()


def catch_up(directory: Directory) -> bool:
    return asyncio.run(directory.catch_up(directory.number))


def test_a_subscription_is_found_by_principal_and_product_with_what_it_is_held_to(
    book: tuple[Subscribers, Directory],
) -> None:
    writer, directory = book
    soft = Quota(Dimension.BYTES, 2**40, Period.MONTH, soft=True)
    made = writer.subscription("dev", "pub.bars", [ROWS, soft], burst=Burst(50, 2), unit=Dimension.BYTES)
    writer.subscription("dev", "pub.other", tenant="elsewhere")
    catch_up(directory)
    terms = directory.terms("default", "dev", "pub.bars")
    assert terms is not None
    assert (terms.subscription, terms.account, terms.unit) == (made, "acc_default_dev", Dimension.BYTES)
    assert (terms.quotas, terms.burst) == ((ROWS, soft), Burst(50, 2))
    assert directory.terms("default", "dev", "pub.other") is None
    assert directory.terms("elsewhere", "dev", "pub.bars") is None


@pytest.mark.parametrize("state", ["pending", "refused", "ended"])
def test_what_is_not_active_lets_nobody_in_and_its_key_says_so(book: tuple[Subscribers, Directory], state: str) -> None:
    writer, directory = book
    key = parsed(writer.key(writer.subscription("dev", "pub.bars", state=state)))
    catch_up(directory)
    assert directory.terms("default", "dev", "pub.bars") is None
    held = directory.key(key.id)
    assert held is not None
    assert (held.state, held.owner, held.terms.product) == (state, "dev", "pub.bars")


def test_a_closed_account_ends_its_subscriptions(book: tuple[Subscribers, Directory]) -> None:
    writer, directory = book
    key = parsed(writer.key(writer.subscription("dev", "pub.bars")))
    writer.change(AccountRow, "acc_default_dev", closed_at=EARLY)
    catch_up(directory)
    held = directory.key(key.id)
    assert held is not None
    assert held.state == "ended"
    assert directory.subscribed("default", "dev") == {}


def test_what_changed_is_known_at_once_to_who_catches_up_and_soon_to_everybody(
    book: tuple[Subscribers, Directory],
) -> None:
    writer, directory = book
    key = parsed(writer.key(made := writer.subscription("dev", "pub.bars")))

    async def twice() -> tuple[bool, bool]:
        return await directory.catch_up(-1), await directory.catch_up(directory.number)

    assert asyncio.run(twice()) == (True, False)
    writer.change(KeyRow, key.id, revoked_at=EARLY)
    while (held := directory.key(key.id)) is None or held.revoked_at is None:
        pass
    writer.change(SubscriptionRow, made, state="ended")
    while directory.terms("default", "dev", "pub.bars") is not None:
        pass
