"""The configuration file: the planner's rules, and who listens where, secured or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from datacanal.configuration import load_configuration
from datacanal.domain.errors import BadConfiguration


def written(folder: Path, text: str) -> Path:
    file = folder / "datacanal.toml"
    file.write_text(text)
    return file


def test_all_rules_of_the_planner_are_in_force_unless_switched_off(tmp_path: Path) -> None:
    planning = load_configuration(written(tmp_path, "")).planning
    assert (planning.subtrees, planning.join_groups) == (True, True)
    planning = load_configuration(written(tmp_path, "[planning]\njoin_groups = false")).planning
    assert (planning.subtrees, planning.join_groups) == (True, False)


@pytest.mark.parametrize("text", ["[planning]\nsubtree = true", '[planning]\nsubtrees = "sometimes"'])
def test_a_rule_that_is_not_known_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadConfiguration) as refusal:
        load_configuration(written(tmp_path, text))
    assert str(refusal.value.data["key"]).startswith("planning.subtree")


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8400", "http://127.0.0.1:8400"),
        ("localhost:8400", "http://localhost:8400"),
        ("[::1]:8400", "http://[::1]:8400"),
        ("0.0.0.0:8400", "https://127.0.0.1:8400"),
        ("192.0.2.1:8400", "https://192.0.2.1:8400"),
        ("control.bank.example:8400", "https://control.bank.example:8400"),
    ],
)
def test_beyond_loopback_the_public_door_is_secured(tmp_path: Path, listen: str, url: str) -> None:
    assert load_configuration(written(tmp_path, f'[control]\nlisten = "{listen}"')).control_url == url


def test_a_certificate_secures_it_on_loopback_too_and_lies_beside_the_file(tmp_path: Path) -> None:
    configuration = load_configuration(written(tmp_path, '[control]\ncertificate = "c.pem"\nkey = "c.key"'))
    assert configuration.control_url == "https://127.0.0.1:8400"
    assert (configuration.control.certificate, configuration.control.key) == (tmp_path / "c.pem", tmp_path / "c.key")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[control]\ncertificate = "c.pem"', "control"),
        ('[control]\nsites = "8402"', "control.sites"),
        ('[control]\nsites = "127.0.0.1:8400"', "listen"),
        ('[[sites]]\nname = "core"\ncontrol = "http://192.0.2.1:8400"', "sites.0.control"),
        ('[[sites]]\nname = "core"\nexchange_url = "http://127.0.0.1:8410"', "sites.0.exchange_url"),
        ('[[sites]]\nname = "core"\nexchange_url = "https://core.example:8410/v1"', "sites.0.exchange_url"),
    ],
)
def test_what_would_be_heard_by_others_or_reach_nobody_is_refused_by_its_key(
    tmp_path: Path, text: str, key: str
) -> None:
    with pytest.raises(BadConfiguration) as refusal:
        load_configuration(written(tmp_path, text))
    assert refusal.value.data["key"] == key


def lake_at(site: str, name: str, url: str, more: str = "") -> str:
    return f'[[sites]]\nname = "{site}"\n[[sites.lakes]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


GATEWAY = "[gateway]\n"
POLICY = 'policy = "p.toml"'
PRODUCTS = lake_at("core", "products", "products")


def test_the_lake_of_products_is_the_store_of_the_gateway_and_has_no_policy(tmp_path: Path) -> None:
    configuration = load_configuration(written(tmp_path, f'{GATEWAY}store = "shelf"\n{PRODUCTS}'))
    (lake,) = configuration.site("core").lakes
    assert (lake.is_products, lake.path, lake.policy) == (True, tmp_path / "shelf", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PRODUCTS, "no [gateway]"),
        (GATEWAY + lake_at("core", "products", "products", POLICY), "no policy"),
        (GATEWAY + lake_at("core", "other", "products", POLICY), "belong together"),
        (GATEWAY + lake_at("core", "products", "file:///p", POLICY), "belong together"),
        (GATEWAY + PRODUCTS + lake_at("users", "products", "products"), "two lakes"),
        (lake_at("core", "l", "l"), "a policy is needed"),
    ],
)
def test_a_lake_of_products_in_another_place_or_shape_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadConfiguration) as refusal:
        load_configuration(written(tmp_path, text))
    assert says in refusal.value.detail


def test_an_exchange_may_be_anywhere(tmp_path: Path) -> None:
    text = '[[sites]]\nname = "core"\nexchange = "0.0.0.0:8410"\nexchange_url = "https://core.example:8410/"'
    site = load_configuration(written(tmp_path, text)).site("core")
    assert (site.exchange, site.exchange_url) == ("0.0.0.0:8410", "https://core.example:8410")


def test_the_gateway_has_defaults_and_its_store_lies_beside_the_file(tmp_path: Path) -> None:
    gateway = load_configuration(written(tmp_path, '[gateway]\nmemory = "2GiB"')).gateway
    assert gateway is not None
    assert (gateway.listen, gateway.store, gateway.memory) == ("127.0.0.1:8401", tmp_path / "products", 2**31)
    assert not gateway.is_secured


def test_a_gateway_may_listen_elsewhere_than_its_section_says(tmp_path: Path) -> None:
    configuration = load_configuration(written(tmp_path, "[gateway]\nthreads = 3"))
    gateway = configuration.gateway_on("0.0.0.0:9000")
    assert (gateway.listen, gateway.threads, gateway.is_secured) == ("0.0.0.0:9000", 3, True)
    with pytest.raises(BadConfiguration) as refusal:
        configuration.gateway_on("nowhere")
    assert refusal.value.data["key"] == "gateway.listen"


@pytest.mark.parametrize(
    "text", ["threads = 0", 'memory = "much"', 'certificate = "a.pem"', "query_timeout_s = 0", "x = 1"]
)
def test_a_gateway_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadConfiguration) as refusal:
        load_configuration(written(tmp_path, f"[gateway]\n{text}"))
    assert str(refusal.value.data["key"]).startswith("gateway")


@pytest.mark.parametrize(
    "database",
    [
        "sqlite",
        "postgresql+psycopg://datacanal@localhost/datacanal",
        "postgresql+psycopg://datacanal@[::1]:5433/datacanal?passfile=/etc/datacanal/pgpass",
        "postgresql+psycopg://datacanal@/datacanal?host=/run/postgresql&port=5433",
        "postgresql+psycopg://datacanal@db.bank.example/datacanal?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    ],
)
def test_a_database_that_can_be_used(tmp_path: Path, database: str) -> None:
    assert load_configuration(written(tmp_path, f'[control]\ndatabase = "{database}"')).control.database == database


@pytest.mark.parametrize(
    ("database", "reason"),
    [
        ("mysql://datacanal@localhost/datacanal", "sqlite"),
        ("postgresql://datacanal@localhost/datacanal", r"postgresql\+psycopg"),
        ("postgresql+psycopg://localhost/datacanal", "user@host"),
        ("postgresql+psycopg://datacanal@localhost", "host/name"),
        ("postgresql+psycopg://datacanal@localhost:none/datacanal", "user@host"),
        ("postgresql+psycopg://datacanal@/datacanal", "a host is needed"),
        ("postgresql+psycopg://datacanal:canary@localhost/datacanal", "PGPASSFILE"),
        ("postgresql+psycopg://datacanal@localhost/datacanal?password=canary", "PGPASSFILE"),
        ("postgresql+psycopg://datacanal@localhost/datacanal?options=-csearch_path%3Dcanary", "'options' is not known"),
        ("postgresql+psycopg://datacanal@db.bank.example/datacanal", "verify-full"),
        ("postgresql+psycopg://datacanal@192.0.2.1/datacanal?sslmode=require", "verify-full"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_being_quoted(
    tmp_path: Path, database: str, reason: str
) -> None:
    with pytest.raises(BadConfiguration, match=reason) as refusal:
        load_configuration(written(tmp_path, f'[control]\ndatabase = "{database}"'))
    assert refusal.value.data["key"] == "control.database"
    assert "canary" not in str(refusal.value)
