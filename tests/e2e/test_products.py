"""A cross-lake result as a product on the real service: published, released, taken back, refused, approved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.e2e.service import Service
from tests.plugins.services import StartService

from datacanal.client import Client
from datacanal.protocol.products import PublishRequest, VersionView

ACROSS = """
    SELECT p.payment_id, q.person_id, p.amount, q.name
    FROM transactions.payments p JOIN users.people q ON p.account_id = q.account_id
"""
OPEN = 'default_class = "public"\n'


def policy(**publish: str) -> str:
    parts = [f'[datasets.{name}]\npublish = "{word}"\n' for name, word in publish.items()]
    return "\n".join([OPEN, *parts])


@pytest.fixture(scope="module")
def service(start_service: StartService, sample_lakes: dict[str, Path]) -> Service:
    sites = {"core": {"transactions": sample_lakes["transactions"]}, "crm": {"users": sample_lakes["users"]}}
    policies = {"transactions": policy(payments="allowed"), "users": policy(people="allowed")}
    return start_service(sites, policies=policies)


@pytest.fixture
def product(service: Service, request: pytest.FixtureRequest) -> str:
    """A product of this test alone."""
    name = f"bank.{request.node.name.removeprefix('test_')[:60]}"
    made = service.command(
        "product", "create", name, "--key", "payment_id,person_id", "--title", "Payments with people"
    )
    assert made.returncode == 0, made.stderr
    return name


def run_job(service: Service) -> str:
    with service.client() as client:
        return client.sql(ACROSS).wait().id


def publish(service: Service, product: str, *options: str) -> VersionView:
    done = service.command("product", "publish", product, "--job", run_job(service), "--json", *options)
    assert done.stdout, done.stderr
    return VersionView.model_validate_json(done.stdout)


def channels(service: Service, product: str) -> dict[str, str]:
    shown = json.loads(service.command("product", "show", product, "--json").stdout)
    return {each["channel"]: each["version"] for each in shown["channels"]}


def set_policy(service: Service, lake: str, text: str) -> None:
    """In force once the site says so."""
    before = _digest(service, lake)
    (service.home / f"{lake}.policy.toml").write_text(text)
    with service.client() as client:
        while _digest(service, lake) == before:
            client.refresh_lake(lake)


def _digest(service: Service, lake: str) -> str:
    with service.client() as client:
        return next(each.policy_digest for each in client.lakes() if each.name == lake)


def test_a_result_is_published_released_and_taken_back(service: Service, product: str) -> None:
    first = publish(service, product, "--promote")
    assert (first.version, first.state) == ("1.0", "stable"), first.problem
    assert {(given.lake, given.dataset) for given in first.lineage.inputs} == {
        ("transactions", "payments"),
        ("users", "people"),
    }
    assert {(each.site, each.decision, each.seq > 0) for each in first.consents} == {
        ("core", "granted", True),
        ("crm", "granted", True),
    }
    second = publish(service, product)
    assert (second.version, second.state) == ("1.1", "staged")
    assert service.command("product", "promote", product, "--canary", "0.1").returncode == 0
    assert channels(service, product) == {"stable": "1.0", "canary": "1.1"}
    assert service.command("product", "promote", product).returncode == 0
    assert channels(service, product) == {"stable": "1.1"}
    diff = json.loads(service.command("product", "diff", product, "1.0", "1.1", "--json").stdout)
    assert (diff["added"], diff["removed"], diff["changed"]) == (0, 0, 0)
    assert service.command("product", "rollback", product, "--reason", "a trial").returncode == 0
    assert channels(service, product) == {"stable": "1.0"}
    shown = service.command("product", "show", product, "--version", "1.0").stdout
    assert "is stable" in shown
    assert "passed key" in " ".join(shown.split())


def test_a_version_that_breaks_its_contract_is_held_and_says_why(service: Service) -> None:
    product = "bank.broken"
    assert service.command("product", "create", product, "--key", "person_id").returncode == 0
    done = service.command("product", "publish", product, "--job", run_job(service))
    assert (done.returncode, "contract_held" in done.stderr) == (4, True)
    assert "HELD key: " in " ".join(done.stdout.split())
    refused = service.command("product", "promote", product, "--version", "1.0", "--accept", "drift", "--reason", "now")
    assert (refused.returncode, "contract_held" in refused.stderr) == (4, True)
    assert service.command("product", "retire", product, "--version", "1.0").returncode == 0


def test_the_record_of_each_site_has_its_owner_s_word(service: Service, product: str) -> None:
    view = publish(service, product)
    [consent] = [each for each in view.consents if each.site == "crm"]
    said = service.command("site", "record", "list", "--config", str(service.configuration), "--site", "crm", "--json")
    [entry] = [entry for entry in json.loads(said.stdout) if entry["seq"] == consent.seq]
    assert (entry["kind"], entry["hash"], entry["receivers"]) == ("publication", consent.hash, [product])


def test_an_owner_who_says_never_stops_the_next_version(service: Service, product: str) -> None:
    assert publish(service, product, "--promote").state == "stable"
    set_policy(service, "users", policy(people="never"))
    try:
        done = service.command("product", "publish", product, "--job", run_job(service))
    finally:
        set_policy(service, "users", policy(people="allowed"))
    assert done.returncode == 4
    assert "publish_refused: The owner of users.people at site crm does not agree" in done.stderr
    assert channels(service, product) == {"stable": "1.0"}


def test_a_steward_s_approval_lets_it_go_on(service: Service, product: str) -> None:
    set_policy(service, "users", policy(people="approval"))
    at_site = ("--config", str(service.configuration), "--site", "crm")
    try:
        job = run_job(service)
        waiting = service.command("product", "publish", product, "--job", job)
        assert (waiting.returncode, "publish_approval_needed" in waiting.stderr) == (4, True)
        asked = json.loads(service.command("approval", "list", *at_site, "--json").stdout)
        [request] = [each for each in asked if each.get("product") == product]
        assert (request["kind"], request["datasets"], request["state"]) == (
            "publication",
            ["users.people"],
            "requested",
        )
        shown = service.command("approval", "show", request["code"], *at_site, "--product", product).stdout
        assert "FROM transactions.payments p JOIN users.people q" in shown
        granted = service.command("approval", "grant", request["code"], *at_site, "--product", product)
        assert granted.returncode == 0, granted.stderr
        done = service.command("product", "publish", product, "--job", job)
        assert done.returncode == 0, done.stderr
        revoked = service.command("approval", "revoke", request["code"], *at_site, "--product", product)
        assert revoked.returncode == 0, revoked.stderr
        assert service.command("product", "publish", product, "--job", run_job(service)).returncode == 4
    finally:
        set_policy(service, "users", policy(people="allowed"))


def test_a_draft_survives_the_death_of_the_control_plane_and_is_staged_once(service: Service, product: str) -> None:
    job = run_job(service)
    [agent] = service.find("serve", "site crm ")
    with service.client() as client:
        agent.suspend()  # so that its answer is waited for
        try:
            begun = client.products.publish(product, PublishRequest(job=job))
            _until(client, begun, lambda view: view.progress is not None)
            [control] = service.find("serve", "control")
            control.kill()
            psutil.wait_procs([control])
        finally:
            agent.resume()
        view = _until(client, begun, lambda view: view.state != "draft")
        assert (view.state, view.snapshot) == ("staged", begun.snapshot), view.problem
        assert [each.version for each in client.products.versions(product)] == ["1.0"]
    folders = list((service.home / "state" / "products" / product).iterdir())
    assert [folder.name for folder in folders] == [view.snapshot]


def _until(client: Client, view: VersionView, is_so: Callable[[VersionView], bool]) -> VersionView:
    """The version once it is so; each look waits at the service for a moment."""
    while not is_so(view):
        view = client.products.version(view.product, view.version, wait_s=1.0)
    return view
