"""A site that cannot serve says why before it starts anything."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from datacanal.configuration import Configuration, LakeSection, SiteSection, load_configuration
from datacanal.domain.errors import (
    AlreadyRunning,
    BadPolicy,
    ImportRefused,
    LakeUnreadable,
    PortInUse,
)
from datacanal.serving.runner import address_of, bind
from datacanal.site.checking import check_lakes
from datacanal.site.importing.importer import import_file
from datacanal.site.importing.options import ImportOptions
from datacanal.site.service import open_lakes, serve_site


def configured(folder: Path, policy: str, exchange: str = "127.0.0.1:0") -> Configuration:
    (folder / "p.toml").write_text(policy)
    lake = LakeSection(name="t", url=(folder / "lake").as_uri(), policy=folder / "p.toml")
    site = SiteSection(name="core", exchange=exchange, lakes=[lake])
    return Configuration(home=folder / "home", file=folder / "datacanal.toml", sites=[site])


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ("", BadPolicy),
        ('default_class = "public"', LakeUnreadable),
    ],
)
def test_a_bad_policy_or_lake_stops_the_start_and_leaves_nothing(
    tmp_path: Path, policy: str, error: type[Exception]
) -> None:
    configuration = configured(tmp_path, policy)
    with pytest.raises(error):
        serve_site(configuration, "core")
    assert not (tmp_path / "home").exists()


def beside_the_store(folder: Path) -> Configuration:
    text = '[gateway]\nstore = "shelf"\n[[sites]]\nname = "core"\n[[sites.lakes]]\nname = "products"\nurl = "products"'
    (folder / "datacanal.toml").write_text(text)
    return load_configuration(folder / "datacanal.toml")


def test_the_lake_of_products_is_there_before_the_first_product(tmp_path: Path) -> None:
    site = beside_the_store(tmp_path).site("core")
    (lake,) = open_lakes(site)
    assert (lake.name, lake.root, lake.listed()) == ("products", tmp_path / "shelf", {})
    assert lake.root.is_dir()
    checked = check_lakes(site, datetime(2030, 1, 1, tzinfo=UTC))
    assert (checked.problems, checked.warnings) == ((), ())


def test_a_store_of_products_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("a file")
    with pytest.raises(LakeUnreadable, match="products"):
        open_lakes(beside_the_store(tmp_path).site("core"))


def test_nothing_is_imported_into_the_lake_of_products(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(ImportRefused, match="published, not imported"):
        import_file(beside_the_store(tmp_path), tmp_path / "a.csv", "products", "bank.bars", ImportOptions())


def test_a_taken_exchange_address_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with bind("127.0.0.1:0", key="test") as holder:
        configuration = configured(tmp_path, 'default_class = "public"', address_of(holder))
        with pytest.raises(PortInUse, match=r"sites\.core\.exchange"):
            serve_site(configuration, "core")


def test_two_agents_do_not_share_a_home(tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "lake").mkdir()
    home = tmp_path / "home" / "sites" / "core"
    home.mkdir(parents=True)
    with (home / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning):
            serve_site(configured(tmp_path, 'default_class = "public"'), "core")
