"""Which version answers whom: channels, shares, labels, instants, snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from datacanal.domain.access import Principal
from datacanal.domain.errors import DatacanalError
from datacanal.domain.product import VersionState
from datacanal.gateway.choosing import choose
from datacanal.gateway.view import Move, Product, Release
from datacanal.products.manifest import Column, Layout, Manifest
from datacanal.protocol.products import Contract, Sample

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=100)
ANN = Principal("default", "ann", "developer")


def release(snapshot: str, day: int, state: VersionState = VersionState.STABLE) -> Release:
    manifest = Manifest(
        product="pub.bars", version="1.0", snapshot=snapshot, created_at=START, key=["k"], rows=1,
        columns=[Column(name="k", type="INTEGER")], layouts=[Layout(order=["k"], file="f", bytes=1, sha256="")],
    )  # fmt: skip
    return Release("1.0", state, START + timedelta(days=day), manifest)


def product(*stable: str | None, canary: Move | None = None, gone: str = "") -> Product:
    """Stable moved once a day; the canary is `snp_c`."""
    names = {*(each for each in stable if each), "snp_c"}
    states = {name: VersionState.RETIRED if name == gone else VersionState.STABLE for name in names}
    return Product(
        tenant="default", name="pub.bars", title="", description="", owner="ann", contract=Contract(key=["k"]),
        visibility="internal", readers=frozenset(), sample=Sample(), created_at=START, retired_at=None,
        releases={name: release(name, 0, states[name]) for name in names},
        stable=tuple(Move(START + timedelta(days=day), name) for day, name in enumerate(stable)),
        canary=canary, restatements=(),
    )  # fmt: skip


def chosen(of: Product, caller: Principal = ANN, **given: str) -> str:
    try:
        return choose(of, given, caller, NOW).snapshot
    except DatacanalError as error:
        return error.code


def test_without_a_wish_the_stable_version_answers() -> None:
    assert chosen(product("snp_a", "snp_b")) == "snp_b"
    assert chosen(product()) == "no_version"
    assert chosen(product("snp_a", None)) == "no_version"


def test_the_canary_answers_about_its_share_of_callers_and_each_of_them_always() -> None:
    of = product("snp_a", canary=Move(START, "snp_c", share=0.3))
    callers = [Principal("default", f"caller{number}", "developer") for number in range(1000)]
    answers = [chosen(of, caller) for caller in callers]
    assert 240 < answers.count("snp_c") < 360
    assert answers == [chosen(of, caller) for caller in callers]


def test_a_larger_share_takes_nobody_out_of_the_canary() -> None:
    callers = [Principal("default", f"caller{number}", "developer") for number in range(300)]
    few, many = (product("snp_a", canary=Move(START, "snp_c", share=share)) for share in (0.2, 0.6))
    assert all(chosen(many, caller) == "snp_c" for caller in callers if chosen(few, caller) == "snp_c")


@pytest.mark.parametrize(("share", "answer"), [(0.0, "snp_a"), (1.0, "snp_c")])
def test_a_share_of_none_or_all_means_it(share: float, answer: str) -> None:
    of = product("snp_a", canary=Move(START, "snp_c", share=share))
    callers = [Principal("default", f"caller{number}", "developer") for number in range(200)]
    assert {chosen(of, caller) for caller in callers} == {answer}


def test_groups_among_the_labels_get_the_canary() -> None:
    of = product("snp_a", canary=Move(START, "snp_c", labels=frozenset({"early", "desk"})))
    assert chosen(of, Principal("default", "bob", "developer", ("desk",))) == "snp_c"
    assert chosen(of, Principal("default", "bob", "developer", ("other",))) == "snp_a"


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"as_of": "2026-01-01T00:00:00Z"}, "snp_a"),
        ({"as_of": "2026-01-01T23:59:59.999999Z"}, "snp_a"),
        ({"as_of": "2026-01-02T08:00:00+08:00"}, "snp_b"),
        ({"as_of": "2026-01-03T00:00:00Z"}, "snp_a"),
        ({"as_of": "2026-04-11T00:00:00Z"}, "snp_a"),
        ({"as_of": "2025-12-31T23:59:59Z"}, "no_version"),
        ({"as_of": "2026-04-11T00:00:01Z"}, "invalid_parameters"),
        ({"as_of": "2026-01-02"}, "invalid_parameters"),
        ({"as_of": "2026-01-02T08:00:00"}, "invalid_parameters"),
        ({"as_of": "2026-01-02T08:00:00 08:00"}, "invalid_parameters"),
        ({"as_of": "2026-02-30T08:00:00Z"}, "invalid_parameters"),
        ({"as_of": "0001-01-01T00:00:00+23:00"}, "invalid_parameters"),
        ({"as_of": ""}, "invalid_parameters"),
        ({"snapshot": "snp_b"}, "snp_b"),
        ({"snapshot": "snp_unknown"}, "not_found"),
        ({"channel": "stable"}, "snp_a"),
        ({"channel": "canary"}, "no_version"),
        ({"channel": "beta"}, "invalid_parameters"),
        ({"channel": "stable", "snapshot": "snp_a"}, "invalid_parameters"),
    ],
)
def test_a_wish_is_met_or_named(given: dict[str, str], answer: str) -> None:
    rolled_back = product("snp_a", "snp_b", "snp_a")
    assert chosen(rolled_back, **given) == answer


def test_what_is_not_kept_is_gone_however_it_is_asked_for() -> None:
    of = product("snp_a", "snp_b", gone="snp_a")
    assert chosen(of, snapshot="snp_a") == "snapshot_gone"
    assert chosen(of, as_of="2026-01-01T12:00:00Z") == "snapshot_gone"
