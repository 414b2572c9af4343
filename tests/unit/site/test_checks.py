"""An agent runs only what it has looked at itself."""

from collections.abc import Callable

import pytest

from datacanal.domain.errors import DatacanalError, KernelMismatch, StepRefused
from datacanal.protocol.catalogue import DatasetColumn, Snapshot
from datacanal.protocol.plan import (
    DatasetInput,
    Estimate,
    Meeting,
    Plan,
    PlanColumn,
    Step,
    Transfer,
    TransferInput,
)
from datacanal.protocol.site import Consumer, Lease, Offer
from datacanal.site.checks import Site, check_lease

SITE = Site("core", "2.0.0", "list", frozenset({"t"}))
COLUMNS = [PlanColumn(name="id", type="BIGINT"), PlanColumn(name="amount", type="DOUBLE")]
SHIPPED = [PlanColumn(name="person", type="BIGINT")]
NOTHING = Estimate(rows=0, bytes=0)
SNAPSHOT = Snapshot(
    id="snp_1",
    lake="t",
    dataset="payments",
    columns=[DatasetColumn(name=column.name, type=column.type) for column in COLUMNS],
    files=[],
)


def plan() -> Plan:
    local = DatasetInput(occurrence="occ0", lake="t", dataset="payments", snapshot="snp_1", columns=COLUMNS)
    far = TransferInput(
        occurrence="occ1", lake="u", dataset="persons", from_step="scan", shipped=SHIPPED, columns=SHIPPED
    )
    scan = Step(id="scan", site="west", kind="scan", sql="…", inputs=[], columns=SHIPPED, estimate=NOTHING)
    query = Step(id="query", site="core", kind="query", sql="…", inputs=[local, far], columns=[], estimate=NOTHING)
    move = Transfer(
        from_step="scan",
        to_step="query",
        from_site="west",
        to_site="core",
        kind="relation",
        dataset="u.persons",
        estimate=NOTHING,
        reason="",
    )
    return Plan(
        kernel="2.0.0",
        functions="list",
        statement="…",
        now="2030-01-01T00:00:00+00:00",
        steps=[scan, query],
        transfers=[move],
        result_step="query",
        columns=[],
        meeting=Meeting(site="core", bytes=0, reason=""),
    )


def offer() -> Offer:
    return Offer(
        output="out_1",
        step="scan",
        site="west",
        url="http://127.0.0.1:8411/v1/transfers/out_1",
        ticket="ticket",
        rows=1,
        bytes=1,
        digest="d",
        columns=SHIPPED,
    )


def lease(made: Plan | None = None, **changed: object) -> Lease:
    document = made or plan()
    given = Lease(
        authority="",
        job="job_1",
        step="query",
        fence=1,
        attempt=1,
        tenant="local",
        principal="ana",
        purpose=None,
        plan=document,
        plan_digest=document.digest,
        inputs=[offer()],
        consumers=[],
        is_result=True,
        result_expiry_s=60,
    )
    return given.model_copy(update=changed)


def changed(change: Callable[[dict[str, object]], None]) -> Plan:
    """The plan with one thing wrong, under a digest that says so."""
    document = plan().model_dump(by_alias=True)
    change(document)
    return Plan.model_validate(document)


def snapshot_of(snapshot_id: str) -> Snapshot | None:
    return SNAPSHOT if snapshot_id == SNAPSHOT.id else None


def refusal(given: Lease, site: Site = SITE) -> DatacanalError:
    with pytest.raises((StepRefused, KernelMismatch)) as caught:
        check_lease(given, site, snapshot_of)
    return caught.value


def test_a_step_as_it_was_planned_is_accepted_with_all_it_names() -> None:
    checked = check_lease(lease(), SITE, snapshot_of)
    assert checked.step.id == "query"
    assert checked.snapshots == {"occ0": SNAPSHOT}
    assert checked.offers == {"scan": offer()}


def test_a_plan_that_was_touched_on_its_way_is_refused() -> None:
    assert "digest" in refusal(lease(plan_digest="0" * 64)).detail


def test_another_kernel_or_function_list_is_refused() -> None:
    assert "DuckDB 1.5.5" in refusal(lease(changed(lambda p: p.update(kernel="1.5.5")))).detail
    assert "function list other" in refusal(lease(changed(lambda p: p.update(functions="other")))).detail


def test_a_step_of_another_site_or_of_no_plan_is_refused() -> None:
    assert "no such step" in refusal(lease(step="scan", is_result=False)).detail
    assert "no such step" in refusal(lease(step="nothing")).detail


def test_a_lease_cannot_turn_another_step_into_the_result() -> None:
    assert "result" in refusal(lease(is_result=False)).detail


def test_a_consumer_that_the_plan_does_not_know_gets_nothing() -> None:
    assert "'east'" in refusal(lease(consumers=[Consumer(step="query", site="east", public_key="k")])).detail


def test_a_lake_of_another_site_is_refused() -> None:
    elsewhere = Site("core", "2.0.0", "list", frozenset({"other"}))
    assert "'t'" in refusal(lease(), elsewhere).detail


@pytest.mark.parametrize("key", ["snapshot", "dataset"])
def test_a_snapshot_that_is_not_the_dataset_s_is_refused(key: str) -> None:
    def change(document: dict[str, object]) -> None:
        document["steps"][1]["inputs"][0][key] = "other"  # type: ignore[index]  # a dumped plan

    assert "is not known" in refusal(lease(changed(change))).detail


def test_columns_that_are_not_the_snapshot_s_are_refused() -> None:
    def change(document: dict[str, object]) -> None:
        document["steps"][1]["inputs"][0]["columns"][0]["type"] = "VARCHAR"  # type: ignore[index]  # a dumped plan

    assert "columns of t.payments" in refusal(lease(changed(change))).detail


def test_a_transfer_that_is_not_declared_once_is_refused() -> None:
    assert "declared once" in refusal(lease(inputs=[])).detail
    assert "declared once" in refusal(lease(inputs=[offer(), offer()])).detail
    assert "declared once" in refusal(lease(changed(lambda p: p.update(transfers=[])))).detail


def test_an_offer_from_a_site_where_the_step_did_not_run_is_refused() -> None:
    assert "where step scan ran" in refusal(lease(inputs=[offer().model_copy(update={"site": "east"})])).detail


def test_an_offer_with_other_columns_is_refused() -> None:
    assert "columns of step scan" in refusal(lease(inputs=[offer().model_copy(update={"columns": COLUMNS})])).detail


@pytest.mark.parametrize("place", ["http://10.0.0.1:80", "https://exchange.example", "ftp://127.0.0.1", "http:"])
def test_an_exchange_beyond_loopback_is_refused(place: str) -> None:
    far = offer().model_copy(update={"url": f"{place}/v1/transfers/out_1"})
    assert "loopback" in refusal(lease(inputs=[far])).detail


@pytest.mark.parametrize("path", ["/admin", "/v1/transfers/out_2", "/v1/transfers/out_1?x=1"])
def test_an_address_that_is_not_the_output_s_is_refused(path: str) -> None:
    other = offer().model_copy(update={"url": f"http://127.0.0.1:8411{path}"})
    assert "none of an exchange" in refusal(lease(inputs=[other])).detail
