"""What the look at the walls makes of what it saw."""

from __future__ import annotations

from dataclasses import replace

from compose.walls import Opened, Place, judge

OWNERS = {"/volumes/demo-core-": "core", "/volumes/demo-people-": "people"}
CONTROL = Place("control_1", "control")
CLIENT = Place("client_1", "client")


def agent(site: str) -> Place:
    return Place(f"{site}_1", site, site, folders=[f"/volumes/demo-{site}-home/_data"])


def member(site: str, role: str, pool: str = "sql") -> Place:
    return Place(f"{site}-{pool}-{role}", role, site, pool)


CORE, PEOPLE = agent("core"), agent("people")
SCHEDULERS = {site: member(site, "scheduler") for site in ("core", "people")}
WORKERS = {site: member(site, "worker") for site in ("core", "people")}
PLACES = [CONTROL, CLIENT, CORE, PEOPLE, *SCHEDULERS.values(), *WORKERS.values()]
WAYS = [
    Opened(CLIENT, CONTROL, "demo_public", 8400),
    Opened(CORE, CONTROL, "demo_core", 8402),
    Opened(PEOPLE, CONTROL, "demo_people", 8402),
    Opened(CORE, PEOPLE, "demo_exchange", 8410),
    Opened(PEOPLE, CORE, "demo_exchange", 8410),
    *(Opened(WORKERS[site], SCHEDULERS[site], f"datacanal-{site}-sql", 41000) for site in ("core", "people")),
]


def test_the_ways_that_jobs_take_are_fine() -> None:
    assert judge(PLACES, WAYS, OWNERS) == []


def test_a_pool_that_another_site_reaches_is_told() -> None:
    breach = Opened(CORE, SCHEDULERS["people"], "datacanal-people-sql", 41000)
    assert judge(PLACES, [*WAYS, breach], OWNERS) == [
        "core_1 opened people-sql-scheduler:41000 over datacanal-people-sql"
    ]


def test_a_member_that_reaches_its_own_agent_is_told() -> None:
    breach = Opened(WORKERS["core"], CORE, "demo_core", 8410)
    assert len(judge(PLACES, [*WAYS, breach], OWNERS)) == 1


def test_two_pools_of_one_site_are_apart() -> None:
    job = member("core", "driver", "python-1")
    breach = Opened(job, SCHEDULERS["core"], "n", 41000)
    assert len(judge([*PLACES, job], [*WAYS, breach], OWNERS)) == 1


def test_a_control_plane_that_reaches_an_agent_is_told() -> None:
    assert len(judge(PLACES, [*WAYS, Opened(CONTROL, CORE, "demo_core", 8410)], OWNERS)) == 1


def test_agents_meet_at_the_exchange_and_on_its_network_only() -> None:
    others = [Opened(CORE, PEOPLE, "demo_exchange", 22), Opened(CORE, PEOPLE, "demo_people", 8410)]
    assert len(judge(PLACES, [*WAYS, *others], OWNERS)) == 2


def test_a_look_that_finds_the_needed_ways_closed_proves_nothing() -> None:
    assert len(judge(PLACES, [], OWNERS)) == len(WAYS)


def test_a_folder_of_the_other_site_is_told() -> None:
    nosy = replace(WORKERS["core"], folders=["/volumes/demo-people-lake/_data/lake"])
    places = [place for place in PLACES if place is not WORKERS["core"]]
    assert judge([*places, nosy], WAYS, OWNERS) == ["core-sql-worker has /volumes/demo-people-lake/_data/lake"]


def test_the_engines_socket_is_for_launchers() -> None:
    launcher = Place("core-launcher_1", "core-launcher", "core", folders=["/run/docker.sock"])
    assert judge([*PLACES, launcher], WAYS, OWNERS) == []
    nosy = replace(CLIENT, folders=["/run/docker.sock"])
    assert "client_1 has /run/docker.sock" in judge([*PLACES, nosy], WAYS, OWNERS)
