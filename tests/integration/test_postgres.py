"""`datacanal up` on PostgreSQL: jobs, a product and a gateway, before and after the database's sudden death."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.service import Service, Settings, datacanal
from tests.plugins.postgres import PostgresServer

PRODUCT = "bank.payments"
QUESTION = """SELECT p.payment_id, q.person_id, p.amount
    FROM transactions.payments p JOIN users.people q ON p.account_id = q.account_id"""
BACK_WITHIN_S = 60.0


@pytest.fixture
def service(postgres: PostgresServer, sample_lakes: dict[str, Path], tmp_path: Path) -> Iterator[Service]:
    """Over a database that nobody has prepared."""
    postgres.run("CREATE DATABASE whole")
    sites = {"core": {"transactions": sample_lakes["transactions"]}, "crm": {"users": sample_lakes["users"]}}
    allowed = {
        "transactions": 'default_class = "public"\n[datasets.payments]\npublish = "allowed"\n',
        "users": 'default_class = "public"\n[datasets.people]\npublish = "allowed"\n',
    }
    settings = Settings(database=postgres.url("whole"), gateway=True, policies=allowed)
    with Service(tmp_path / "service", sites, settings) as service:
        yield service
    postgres.run("DROP DATABASE whole WITH (FORCE)")


def publish(service: Service) -> None:
    """A new version of the product that is stable."""
    with service.client() as client:
        job = client.sql(QUESTION).wait().id
    done = service.command("product", "publish", PRODUCT, "--job", job, "--promote")
    assert done.returncode == 0, done.stderr


def until(is_so: Callable[[], bool]) -> None:
    """Ask again and again; a service that comes back says so to nobody."""
    gives_up_at = time.monotonic() + BACK_WITHIN_S
    while not is_so():
        assert time.monotonic() < gives_up_at
        time.sleep(0.1)


@pytest.mark.postgres
@pytest.mark.timeout(240)
def test_the_service_survives_the_death_of_its_database(service: Service, postgres: PostgresServer) -> None:
    made = service.command("product", "create", PRODUCT, "--key", "payment_id,person_id", "--title", "Payments")
    assert made.returncode == 0, made.stderr
    publish(service)
    before = sorted(process.pid for process in service.find("serve"))
    headers = {"Authorization": f"Bearer {service.token}"}
    with service.http() as control, httpx.Client(base_url=service.gateway_url, headers=headers) as gateway:
        until(lambda: gateway.get(f"/v1/products/{PRODUCT}/data?limit=1").is_success)

        postgres.kill()
        refused = control.get("/v1/jobs")
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert refused.headers["Retry-After"]
        refused = control.post("/v1/jobs", json={"sql": QUESTION})
        assert (refused.status_code, refused.json()["retriable"]) == (503, True)
        assert gateway.get(f"/v1/products/{PRODUCT}").is_success
        refused = gateway.get(f"/v1/products/{PRODUCT}/data?limit=1")  # nothing is given that cannot be written down
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert refused.headers["Retry-After"]
        until(lambda: gateway.get("/health").json()["status"] == "stale")

        postgres.start()
        until(lambda: gateway.get("/health").json()["status"] == "ok")
        publish(service)
        until(lambda: gateway.get(f"/v1/products/{PRODUCT}/data?limit=1").headers["Datacanal-Version"] == "1.1")
    assert sorted(process.pid for process in service.find("serve")) == before
    metered = "SELECT count(*) FROM ledger.events WHERE kind = 'job'"
    until(lambda: postgres.run(metered, "whole") == [(2,)])


@pytest.mark.postgres
def test_check_tells_whether_the_database_can_be_used(postgres_database: str, tmp_path: Path) -> None:
    file = tmp_path / "datacanal.toml"

    def check(database: str) -> tuple[int, str]:
        file.write_text(f'[control]\ndatabase = "{database}"\n')
        done = datacanal("check", "--config", str(file))
        return done.returncode, done.stdout + done.stderr

    assert check(postgres_database)[0] == 0
    code, said = check(postgres_database.replace("/test_", "/absent_"))
    assert (code, "store_unavailable" in said, "does not exist" in said) == (3, True, True)
