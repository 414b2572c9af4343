"""The lake of data products: what is listed, under which policy, and in which order both change."""

from __future__ import annotations

from pathlib import Path

from tests.unit.site.lakes.conftest import clock, key_of, write

from datacanal.protocol.site import SharedProduct, SharedProducts
from datacanal.site.lakes.product_shelf import ProductShelf, policy_of
from datacanal.site.lakes.reading import LakeReader
from datacanal.site.lakes.registry import Lake, LakeRegistry
from datacanal.site.lakes.telling import Telling
from datacanal.site.policy.book import PolicyBook
from datacanal.site.policy.governed import Governance
from datacanal.site.policy.model import Policy
from datacanal.site.store.catalogue import CatalogueStore
from datacanal.site.store.database import open_database
from datacanal.site.store.policies import PolicyStore


def shared(name: str, snapshot: str = "snp_1", readers: list[str] | None = None) -> SharedProduct:
    return SharedProduct(name=name, snapshot=snapshot, key=["id"], readers=readers)


def told(*products: SharedProduct) -> SharedProducts:
    return SharedProducts(products=list(products))


class Beside:
    """A site beside a store of products."""

    def __init__(self, store: Path, reader: LakeReader) -> None:
        engine = open_database(store.parent / "home" / "site.db")
        first = policy_of(())
        self.book = PolicyBook({"products": first}, {}, PolicyStore(engine), clock, keep_s=60)
        telling = Telling(self.book, Governance(key_of))
        lake = Lake("products", store, first, shelf=ProductShelf())
        self.lakes = LakeRegistry([lake], reader, CatalogueStore(engine), telling, clock)

    def take(self, *products: SharedProduct) -> bool:
        return self.lakes.share("products", told(*products), lambda policy: self.book.replace("products", policy))


def test_a_dataset_is_the_stable_snapshot_under_its_own_id(lake: Path, reader: LakeReader) -> None:
    write(lake, "bank.bars/snp_1/by_key.parquet", "SELECT range id FROM range(5)")
    write(lake, "bank.bars/snp_1/by_session.parquet", "SELECT range id FROM range(5)")
    write(lake, "bank.bars/snp_2/by_key.parquet", "SELECT range id FROM range(7)")
    site = Beside(lake, reader)
    assert site.take(shared("bank.bars", readers=["group:risk"]))
    (report,) = site.lakes.reports()[1]
    assert (report.name, report.key, report.readers) == ("bank.bars", ["id"], ["group:risk"])
    assert report.snapshot is not None
    assert (report.snapshot.id, report.snapshot.files, report.snapshot.rows) == ("snp_1", 1, 5)
    assert site.take(shared("bank.bars", "snp_2"))
    (report,) = site.lakes.reports()[1]
    assert report.readers is None
    assert report.snapshot is not None
    assert (report.snapshot.id, report.snapshot.rows) == ("snp_2", 7)


def test_what_is_told_again_changes_nothing(lake: Path, reader: LakeReader) -> None:
    write(lake, "bank.bars/snp_1/by_key.parquet", "SELECT 1 id")
    site = Beside(lake, reader)
    assert site.take(shared("bank.bars"))
    assert not site.take(shared("bank.bars"))


def test_a_snapshot_that_was_restored_from_a_copy_is_read_as_it_is_now(lake: Path, reader: LakeReader) -> None:
    """The same snapshot in another file: steps compare what they open with what was listed."""
    file = write(lake, "bank.bars/snp_1/by_key.parquet", "SELECT 1 id")
    site = Beside(lake, reader)
    site.take(shared("bank.bars"))
    before = site.lakes.snapshot("snp_1")
    copied = file.read_bytes()
    file.unlink()
    write(lake, "other.parquet", "SELECT 1 id")
    file.write_bytes(copied)
    assert site.lakes.refresh()
    after = site.lakes.snapshot("snp_1")
    assert before is not None
    assert after is not None
    assert before.files != after.files


def test_no_product_is_ever_listed_without_a_word_of_the_policy() -> None:
    """A dataset of which a policy says nothing is everybody's."""
    shelf = ProductShelf()
    in_force = [policy_of(())]
    seen: list[tuple[set[str], set[str]]] = []

    def look() -> None:
        seen.append((set(shelf.list(Path("/nowhere"))), set(in_force[-1].datasets)))

    def put(policy: Policy) -> None:
        look()
        in_force.append(policy)
        look()

    for names in (["a.x", "a.y"], ["a.y", "a.z"], ["a.z"], [], ["a.x"]):
        shelf.take(told(*(shared(name, readers=[]) for name in names)), put, look)
    assert len(seen) == 5 * 4
    assert all(listed <= said for listed, said in seen)
    assert seen[-1] == ({"a.x"}, {"a.x"})


def test_a_reader_that_no_policy_can_name_does_not_keep_the_others_out() -> None:
    policy = policy_of([shared("a.x", readers=["principal: spaced", "group:risk"]), shared("a.y")])
    assert policy.dataset("a.x").readers == ["group:risk"]
    assert policy.dataset("a.y").readers is None
    assert Policy.model_validate(policy.document) == policy


def test_the_digest_says_who_may_read() -> None:
    assert policy_of([shared("a.x", readers=[])]).digest != policy_of([shared("a.x")]).digest
    assert policy_of([shared("a.x", "snp_1")]).digest == policy_of([shared("a.x", "snp_2")]).digest
