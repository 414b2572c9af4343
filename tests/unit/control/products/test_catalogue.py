"""Products: who may make them, whose names they are, who sees them."""

from __future__ import annotations

import pytest
from tests.unit.control.products.house import ADMIN, BARS, DEVELOPER, OTHER, PUB, STRANGER, House

from datacanal.domain.errors import Forbidden, NotFound
from datacanal.domain.product_errors import BadContract, NamespaceTaken, ProductExists
from datacanal.protocol.products import Contract, Freshness, ProductUpdate


def test_a_publisher_name_is_its_first_makers_and_the_admins(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create()
        with pytest.raises(ProductExists):
            await at.create()
        trades = BARS.model_copy(update={"name": "pub.trades"})
        with pytest.raises(NamespaceTaken, match="'pub'"):
            await at.create(trades, OTHER)
        assert (await at.create(trades, ADMIN)).owner == "root"
        assert (await at.create(trades, STRANGER)).owner == "pub"

    house.play(scene)


@pytest.mark.parametrize(
    ("visibility", "readers", "is_seen"),
    [
        ("private", [], False),
        ("private", ["principal:somebody", "group:others"], False),
        ("private", ["principal:dev"], True),
        ("private", ["group:quants"], True),
        ("listed", [], True),
        ("internal", [], True),
    ],
)
def test_a_private_product_is_there_for_its_readers_only(
    house: House, visibility: str, readers: list[str], is_seen: bool
) -> None:
    async def scene(at: House) -> None:
        await at.create(BARS.model_copy(update={"visibility": visibility, "readers": readers}))
        assert [each.name for each in (await at.catalogue.list_all(DEVELOPER)).products] == ["pub.bars"] * is_seen
        assert (await at.catalogue.list_all(STRANGER)).products == []
        for reader in (PUB, ADMIN):
            assert (await at.catalogue.show(reader, "pub.bars")).title == "Bars"
        if not is_seen:
            with pytest.raises(NotFound):
                await at.catalogue.show(DEVELOPER, "pub.bars")
        with pytest.raises(NotFound):
            await at.catalogue.show(STRANGER, "pub.bars")

    house.play(scene)


def test_who_else_reads_is_told_to_who_manages_the_product_only(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create(BARS.model_copy(update={"readers": ["group:quants", "principal:rival"]}))
        assert (await at.catalogue.show(DEVELOPER, "pub.bars")).readers == []
        assert len((await at.catalogue.show(ADMIN, "pub.bars")).readers) == 2

    house.play(scene)


def test_an_update_changes_what_it_names_and_only_its_owner_makes_it(house: House) -> None:
    async def scene(at: House) -> None:
        await at.create(BARS.model_copy(update={"visibility": "listed", "description": "# Bars"}))
        view = await at.catalogue.update(PUB, "pub.bars", ProductUpdate(title="Daily bars", readers=["group:quants"]))
        assert (view.title, view.readers, view.description) == ("Daily bars", ["group:quants"], "# Bars")
        for other, error in ((OTHER, Forbidden), (STRANGER, NotFound)):
            with pytest.raises(error):
                await at.catalogue.update(other, "pub.bars", ProductUpdate(title="Mine"))

    house.play(scene)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"contract": Contract(key=["a", "a"])}, "contract.key"),
        ({"contract": Contract(key=["a"], freshness=Freshness())}, "contract.freshness"),
        ({"contract": Contract(key=["a"], session="d", calendar="MOON")}, "contract.calendar"),
        ({"contract": Contract(key=["a"], columns={"b": "BIGINT"})}, "contract.key"),
    ],
)
def test_what_cannot_be_kept_is_refused_at_once(house: House, changes: dict[str, object], field: str) -> None:
    async def scene(at: House) -> None:
        with pytest.raises(BadContract) as refusal:
            await at.create(BARS.model_copy(update=changes))
        assert refusal.value.data["field"] == field

    house.play(scene)
