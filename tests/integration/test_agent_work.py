"""Agents of two sites under a real control plane, over real HTTP; only their pools run inside this process."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.integration.town import LAKES, OneAtATime, Town, line, play

from datacanal.site.policy import Policy
from datacanal.testing.control_house import control_house
from datacanal.testing.fake_pool import PoolThatLosesItsWorker
from datacanal.testing.tasks import write_parquet

JOIN = (
    "SELECT name, count(*) n FROM transactions.payments JOIN people.persons USING (person)"
    " WHERE amount > 100 GROUP BY name ORDER BY name"
)


def test_a_question_over_both_lakes_is_answered_and_every_release_written_down(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        await town.open("users")
        view = await town.run(JOIN)
        answer = await town.result(view["id"])
        table = pa.ipc.open_stream(answer.content).read_all()
        assert table.to_pylist()[:2] == [{"name": "p0", "n": 93}, {"name": "p1", "n": 93}]
        (transfer,) = view["stats"]["transfers"]
        assert transfer["bytes_wire"] > 0
        records = {record.kind: record for site in LAKES for record in town.egress(site)}
        assert records["transfer"].bytes == transfer["bytes_wire"]
        assert records["result"].rows == 10
        assert {record.purpose for record in records.values()} == {"test"}
        kept = [file for site in LAKES for file in (tmp_path / "sites" / site / "scratch" / "inputs").iterdir()]
        assert kept == []

    play(tmp_path, story)


def test_a_result_comes_in_every_format_from_any_offset_and_repeated_names_stay(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        job = (await town.run("SELECT id, id + 1 AS id, 'é' AS t, sum(id) OVER () AS h FROM transactions.payments"))[
            "id"
        ]
        whole = {format_: await town.result(job, format_) for format_ in ("arrow", "parquet", "csv", "json")}
        assert {answer.status_code for answer in whole.values()} == {200}
        arrow = pa.ipc.open_stream(whole["arrow"].content).read_all()
        assert arrow.schema.names == ["id", "id", "t", "h"]
        assert pq.read_table(io.BytesIO(whole["parquet"].content)).num_rows == 1000
        assert whole["csv"].text.count("\n") == 1001
        assert len(json.loads(whole["json"].content)) == 1000
        rest = await town.result(job, "csv", Range="bytes=100-")
        assert rest.status_code == 206
        assert rest.content == whole["csv"].content[100:]
        assert (await town.result(job, "csv", Range=f"bytes={10**9}-")).status_code == 416
        exports = [task for task in town.pools["core"].ran if not task.gated]
        assert len(exports) == 4

    play(tmp_path, story)


def test_a_result_of_ordinary_types_is_sent_as_it_is_kept(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1000}]
        assert len(town.pools["core"].ran) == 1

    play(tmp_path, story)


def test_new_files_are_seen_and_do_not_disturb_what_is_planned(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        pool = await town.open_hanging("core")
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        await pool.hangs.wait()
        write_parquet(tmp_path / "transactions/payments/2.parquet", "SELECT 1 id, 1 person, 1.5 amount")
        await town.refreshed("transactions")
        pool.let_go.set()
        assert (await town.ended(job))["state"] == "succeeded"
        answer = await town.result(job)
        assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"n": 1000}]
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1001}]

    play(tmp_path, story)


def test_a_changed_file_fails_the_step_instead_of_giving_other_rows(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        pool = await town.open_hanging("core")
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        await pool.hangs.wait()
        write_parquet(tmp_path / "transactions/payments/1.parquet", "SELECT 1 id, 1 person, 1.5 amount")
        pool.let_go.set()
        view = await town.ended(job)
        assert view["state"] == "failed"
        assert view["problem"]["code"] == "snapshot_changed"

    play(tmp_path, story)


def test_cancelling_a_job_kills_its_task(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        pool = await town.open_hanging("core")
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        await pool.hangs.wait()
        await town.admin.post(f"/v1/jobs/{job}/cancel")
        assert (await town.ended(job))["state"] == "cancelled"

    play(tmp_path, story)


def test_a_step_whose_worker_died_is_tried_again(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core", PoolThatLosesItsWorker)
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1000}]
        assert len(town.pools["core"].ran) == 2

    play(tmp_path, story)


def test_a_budget_stops_the_release_and_says_so(tmp_path: Path) -> None:
    policy = Policy.model_validate({"default_class": "public", "budgets": {"job": {"rows": 10}}})

    async def story(town: Town) -> None:
        await town.open("core", policy=policy)
        view = await town.ended(await town.submit("SELECT id FROM transactions.payments"))
        assert view["state"] == "failed"
        assert view["problem"]["code"] == "egress_budget_exceeded"
        assert "1000 rows" in view["problem"]["detail"]
        assert [record.decision for record in town.egress("core")] == ["refused"]
        assert list((tmp_path / "sites" / "core" / "scratch" / "outputs").iterdir()) == []

    play(tmp_path, story)


def test_a_result_outlives_its_agent(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        job = (await town.run("SELECT count(*) AS n FROM transactions.payments"))["id"]
        await town.close("core")
        await town.open("core")
        answer = await town.result(job)
        assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"n": 1000}]

    play(tmp_path, story)


def test_a_result_goes_to_its_submitter_and_to_no_other_admin(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.open("core")
        job = (await town.run("SELECT count(*) AS n FROM transactions.payments"))["id"]
        other = await town.control.caller("admin", "eve")
        answer = await other.get(f"/v1/jobs/{job}/result")
        assert (answer.status_code, answer.json()["code"]) == (403, "authority_refused")
        assert (await town.result(job)).status_code == 200
        [*_, last] = town.egress("core")
        assert (last.kind, last.decision) == ("result", "refused")

    play(tmp_path, story)


def test_an_agent_that_comes_back_takes_its_job_up_again(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        pool = await town.open_hanging("core")
        job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
        await pool.hangs.wait()
        await town.close("core")
        await town.open("core")
        assert (await town.ended(job))["state"] == "succeeded"

    play(tmp_path, story)


def test_a_job_survives_the_control_plane_s_restart(tmp_path: Path) -> None:
    write_parquet(tmp_path / "transactions/payments/1.parquet", "SELECT range id FROM range(1000)")
    home = tmp_path / "control"
    home.mkdir()

    async def main() -> None:
        async with line() as wire:
            async with control_house(home, compiler=OneAtATime()) as first:
                wire.behind = first.url
                town = Town(tmp_path, first, await first.admin())
                pool = await town.open_hanging("core", control_url=wire.url)
                job = await town.submit("SELECT count(*) AS n FROM transactions.payments")
                await pool.hangs.wait()
            wire.behind = None
            pool.let_go.set()
            async with control_house(home, compiler=OneAtATime()) as second:
                wire.behind = second.url
                town.admin = await second.admin()
                assert (await town.ended(job))["state"] == "succeeded"
                answer = await town.result(job)
                assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"n": 1000}]
                assert len(pool.ran) == 1
                await town.close("core")

    asyncio.run(main())


def test_a_corrupt_dataset_is_refused_by_name_and_the_other_answers(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        (tmp_path / "transactions" / "broken").mkdir()
        (tmp_path / "transactions" / "broken" / "x.parquet").write_bytes(b"PAR1")
        await town.open("core")
        answer = await town.admin.post("/v1/jobs/explain", json={"sql": "SELECT * FROM transactions.broken"})
        assert answer.json()["code"] == "dataset_unreadable"
        assert "broken/x.parquet" in answer.json()["detail"]
        assert await town.rows("SELECT count(*) AS n FROM transactions.payments") == [{"n": 1000}]

    play(tmp_path, story)


@pytest.mark.parametrize("sql", ["SELECT 42 AS n", "SELECT count(*) AS n FROM range(42)"])
def test_a_statement_without_datasets_runs_anywhere(tmp_path: Path, sql: str) -> None:
    async def story(town: Town) -> None:
        await town.open("users")
        assert await town.rows(sql) == [{"n": 42}]

    play(tmp_path, story)
