"""Gateways, and the database under them, are killed under load: nothing is lost and nothing is charged twice."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from tests.gateway_storm import PRODUCT, WIDE_ROWS, await_no_holds, check_book, gateways, storm
from tests.plugins.postgres import PostgresServer
from tests.products import ProductHome

from datacanal.domain.usage import Dimension, Period, Quota

KILLS = 20
CLIENTS = 8
_EVERY_S = (0.2, 1.2)
SEED = int(os.environ.get("DATACANAL_SEED", "0")) or random.SystemRandom().randrange(2**32)


def subscribed(folder: Path, database: str) -> tuple[ProductHome, str]:
    """A home with a product of wide rows and the key of somebody who may have many of them."""
    home = ProductHome(folder, database)
    home.product(PRODUCT)
    home.point(PRODUCT, home.version(PRODUCT, 0, WIDE_ROWS, key=["id"], session=None))
    quota = Quota(Dimension.ROWS, 10**9, Period.MONTH)
    return home, home.book.key(home.book.subscription("dev", PRODUCT, [quota]))


def kill_gateways(folder: Path, database: str, kills: int) -> dict[str, int]:
    """So many times one of two gateways; what the book was compared with."""
    chance = random.Random(SEED)
    home, key = subscribed(folder, database)
    with gateways(folder, home, 2) as running:
        with storm(running, key, SEED, CLIENTS) as told:
            for _ in range(kills):
                time.sleep(chance.uniform(*_EVERY_S))
                number = chance.randrange(2)
                running.kill(number)
                running.await_ready(number)
            time.sleep(1)
        await_no_holds(home.book.store)
    try:
        return check_book(home.book.store, told)
    finally:
        home.book.store.close()
        home.engine.dispose()


@pytest.mark.timeout(600)
def test_killed_gateways_lose_nothing_and_charge_nothing_twice(tmp_path: Path, any_database: str) -> None:
    compared = kill_gateways(tmp_path, any_database, KILLS)
    assert compared["answers"] > KILLS
    assert compared["broken off"] > 0


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_a_killed_database_loses_nothing_and_nothing_is_charged_twice(
    tmp_path: Path, postgres_database: str, postgres: PostgresServer
) -> None:
    chance = random.Random(SEED)
    home, key = subscribed(tmp_path, postgres_database)
    with gateways(tmp_path, home, 2) as running:
        with storm(running, key, SEED, CLIENTS) as told:
            for _ in range(5):
                time.sleep(chance.uniform(1, 3))
                postgres.kill()
                postgres.start()
            time.sleep(2)
        await_no_holds(home.book.store)
    compared = check_book(home.book.store, told)
    home.book.store.close()
    home.engine.dispose()
    assert compared["answers"] > 5
