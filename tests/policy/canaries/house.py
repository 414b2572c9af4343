"""Two sites and a planner in one process: the real planner, agents' checks, kernels and gates, over the canary town.

Whatever crosses a site's border (reports, transfers, results, what attempts tell) is shown to the watch.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import duckdb
import pyarrow as pa
from sqlalchemy import event
from tests.policy.canaries.policies import TownPolicy
from tests.policy.canaries.town import SITES, TABLES
from tests.policy.canaries.watch import Watch
from tests.policy.forging import ISSUER, OneKernel, Pinned

from datacanal.control.catalogue import Known, KnownDataset
from datacanal.control.compiling import StatementCompiler
from datacanal.control.planner import Question
from datacanal.domain.errors import DatacanalError
from datacanal.planning.binding import Binder
from datacanal.planning.explain import explain_text
from datacanal.planning.functions import functions_digest
from datacanal.protocol.authority import Authority
from datacanal.protocol.catalogue import DatasetColumn, DatasetReport, Snapshot, SnapshotFile
from datacanal.protocol.plan import Plan, Step
from datacanal.protocol.problem import problem_of
from datacanal.protocol.site import Consumer, Done, Failed, Lease, Offer
from datacanal.site.approvals import Approvals
from datacanal.site.authorities import Authorities
from datacanal.site.engine.etag import etag_of
from datacanal.site.engine.specification import PoolShape
from datacanal.site.fetcher import Arrival, Fetcher
from datacanal.site.fleet.port import Pool
from datacanal.site.gate.passing import EgressGate
from datacanal.site.keys import SiteKeys
from datacanal.site.lakes.registry import LakeRegistry
from datacanal.site.lakes.telling import Telling
from datacanal.site.places import Places
from datacanal.site.policy import Policy, load_policy
from datacanal.site.policy.book import PolicyBook
from datacanal.site.policy.governed import Governance
from datacanal.site.python_runs import PythonRuns
from datacanal.site.python_steps import PythonSteps
from datacanal.site.runner import StepRunner
from datacanal.site.running import Running
from datacanal.site.step_datasets import Datasets, Shown
from datacanal.site.store.approvals import ApprovalStore
from datacanal.site.store.entity_sets import EntityLog
from datacanal.site.store.fences import FenceBook
from datacanal.site.store.policies import PolicyStore
from datacanal.site.verifier import Site, StepVerifier
from datacanal.testing.site_books import open_books

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
_OWN_WORDS = 5
_OTHER = {"core": "crm", "crm": "core"}


@dataclass(frozen=True)
class Ran:
    """What became of a statement: `refused` or `failed` with a code, or `answered`."""

    outcome: str
    code: str = ""


class House:
    """Both sites under one policy. Statements of one house are asked by one person, one after the other."""

    def __init__(self, home: Path, lakes: Mapping[str, Path], policy: TownPolicy, binder: Binder) -> None:
        self.watch = Watch(policy)
        self._compiler = StatementCompiler(binder)
        self._sites = {site: _SiteHouse(home / site, site, lakes[lake], policy) for site, lake in SITES.items()}
        for site in self._sites.values():
            site.open({name: other.books.keys for name, other in self._sites.items()}, self._sites)
        datasets = tuple(KnownDataset(name, report) for name, site in self._sites.items() for report in site.reports())
        for known in datasets:
            assert known.report.problem is None, known.report.problem
            self.watch.saw_text("the catalogue", known.report.model_dump_json())
        self._known = Known(1, dict.fromkeys(self._sites, NOON), (), datasets, {})
        self._jobs = 0

    def close(self) -> None:
        for site in self._sites.values():
            site.close()

    def ask(self, sql: str) -> Ran:
        """Plan and run the statement, and let the watch see everything that leaves a site on the way."""
        self._jobs += 1
        try:
            plan = self._compiler.compile(Question("default", sql, {}, NOON), self._known, frozenset(self._sites))
        except DatacanalError as error:
            self.watch.saw_text("the refusal", _unquoted(problem_of(error).model_dump_json(), sql))
            return Ran("refused", error.code)
        self.watch.saw_text("the plan", _unquoted(plan.model_dump_json() + explain_text(plan), sql))
        return asyncio.run(self._run(plan, sql, f"job_{self._jobs}"))

    async def _run(self, plan: Plan, sql: str, job: str) -> Ran:
        done: dict[str, Done] = {}
        for step in plan.steps:
            outcome = await self._sites[step.site].run(_lease(plan, step, job, done, self._sites))
            told = outcome.model_copy(update={"offers": []}) if isinstance(outcome, Done) else outcome
            self.watch.saw_text(f"what {step.id} tells", _unquoted(told.model_dump_json(), sql))
            if isinstance(outcome, Failed):
                return Ran("failed", outcome.problem.code)
            done[step.id] = outcome
            self._look_at(plan, step, outcome)
        return Ran("answered")

    def _look_at(self, plan: Plan, step: Step, outcome: Done) -> None:
        """A transfer or the result, as it left the site."""
        crosses = any(move.from_step == step.id for move in plan.transfers)
        if crosses or step.id == plan.result_step:
            table = self._sites[step.site].content(outcome.output)
            self.watch.saw_table(f"the output of {step.id}", table, inside_transfer=step.id != plan.result_step)


class _SiteHouse:
    """One site: its books, policy, verifier, kernel and gate."""

    def __init__(self, home: Path, name: str, lake: Path, policy: TownPolicy) -> None:
        self._name, self._lake_name, self._lake = name, SITES[name], lake
        self._places = Places(home)
        self.books = open_books(home, name)
        # Only processes end here, never machines: nothing has to reach the disk.
        self.books.engine.dispose()
        event.listen(self.books.engine, "connect", lambda given, _: given.execute("PRAGMA synchronous = OFF"))
        file = home / "policy.toml"
        file.write_text(policy.files[self._lake_name])
        self._policies = PolicyBook(
            {self._lake_name: load_policy(file)}, {}, PolicyStore(self.books.engine), lambda: NOON, 7200
        )
        self._governance = Governance(lambda _lake: "00" * 32)
        names = [name.partition(".")[2] for name in TABLES if name.startswith(f"{self._lake_name}.")]
        self._snapshots = {each.id: each for each in (_snapshot(lake, self._lake_name, name) for name in names)}
        self._pool = OneKernel(
            PoolShape(
                workers=1,
                threads=1,
                memory_bytes=2**29,
                readable=[str(lake)],
                scratch=str(self._places.scratch),
            )
        )

    def open(self, keys: Mapping[str, SiteKeys], sites: Mapping[str, _SiteHouse]) -> None:
        """Build the agent's parts, knowing the other site."""
        lakes = frozenset({self._lake_name})
        pins = Pinned({_OTHER[self._name]: keys[_OTHER[self._name]]})
        site = Site(self._name, duckdb.__version__, functions_digest(), lakes)
        datasets = Datasets(self._name, lakes, self._snapshots.get, self._policies, self._shown)
        approvals = Approvals(self._name, ApprovalStore(self.books.engine), lambda: NOON)
        verifier = StepVerifier(
            site=site,
            authorities=Authorities(self._name, lambda: ISSUER.public, lambda: NOON),
            datasets=datasets,
            python=PythonSteps(self._name, datasets, approvals, lambda: "sha256:a", lambda: NOON),
            pins=pins,
            outputs=self.books.work,
            fences=FenceBook(self.books.engine),
            record=self.books.record.add,
            clock=lambda: NOON,
        )
        self._runner = StepRunner(
            site=site,
            verifier=verifier,
            keys=self.books.keys,
            exchange_url="https://127.0.0.1:8410",
            places=self._places,
            lakes=cast("LakeRegistry", SimpleNamespace(roots={self._lake_name: self._lake})),
            work=self.books.work,
            gate=EgressGate(self._name, self._policies, self.books.egress, EntityLog(self.books.engine)),
            fetcher=cast("Fetcher", _Courier(sites)),
            python=PythonRuns(self._name, None, dict),
            pool=cast("Pool", self._pool),
            clock=lambda: NOON,
            new_id=lambda prefix: f"{prefix}_{os.urandom(8).hex()}",
            transfer_expiry_s=7200,
        )

    def close(self) -> None:
        self.books.close()
        self._pool.close()

    def reports(self) -> list[DatasetReport]:
        telling = Telling(self._policies, self._governance)
        names = [snapshot.dataset for snapshot in self._snapshots.values()]
        return [telling.dataset(snapshot, names) for snapshot in self._snapshots.values()]

    async def run(self, lease: Lease) -> Done | Failed:
        return await self._runner.run(lease, Running())

    def file(self, output: str) -> Path:
        row = self.books.work.output(output)
        assert row is not None
        return Path(row.path)

    def content(self, output: str) -> pa.Table:
        with pa.ipc.open_stream(self.file(output).read_bytes()) as stream:
            return stream.read_all()

    def _shown(self, policy: Policy, snapshot: Snapshot) -> Shown:
        seen = self._governance.of(policy, snapshot)
        return Shown(seen.plan_columns, seen.rules)


class _Courier:
    """Brings an output from the other site's own file."""

    def __init__(self, sites: Mapping[str, _SiteHouse]) -> None:
        self._sites = sites

    async def fetch(self, offer: Offer, file: Path, arrival: Arrival) -> None:
        content = await asyncio.to_thread(self._sites[offer.site].file(offer.output).read_bytes)
        await asyncio.to_thread(file.write_bytes, content)
        arrival.bytes += len(content)


def _lease(plan: Plan, step: Step, job: str, done: Mapping[str, Done], sites: Mapping[str, _SiteHouse]) -> Lease:
    senders = [move.from_step for move in plan.transfers if move.to_step == step.id]
    moves = [move for move in plan.transfers if move.from_step == step.id]
    authority = Authority(
        job=job,
        tenant="default",
        principal="ana",
        role="analyst",
        groups=[],
        purpose="research",
        statement="0" * 64,
        plan=plan.digest,
        audience=step.site,
        issued_s=int(NOON.timestamp()),
        expires_s=int((NOON + timedelta(hours=2)).timestamp()),
    )
    return Lease(
        authority=ISSUER.signed(authority),
        job=job,
        step=step.id,
        fence=1,
        attempt=1,
        tenant="default",
        principal="ana",
        purpose="research",
        plan=plan,
        plan_digest=plan.digest,
        inputs=[next(offer for offer in done[sender].offers if offer.step == sender) for sender in senders],
        consumers=[
            Consumer(step=move.to_step, site=move.to_site, public_key=sites[move.to_site].books.keys.public)
            for move in moves
        ],
        is_result=plan.result_step == step.id,
        result_expiry_s=86400,
    )


def _snapshot(lake: Path, lake_name: str, name: str) -> Snapshot:
    file = lake / name / "part-0.parquet"
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE FROM read_parquet('{file}')").fetchall()
        rows = connection.execute(f"SELECT count(*) FROM read_parquet('{file}')").fetchone()
    return Snapshot(
        id=f"snp_{name}",
        lake=lake_name,
        dataset=name,
        columns=[DatasetColumn(name=row[0], type=row[1]) for row in described],
        files=[
            SnapshotFile(
                path=f"{name}/part-0.parquet",
                size_bytes=file.stat().st_size,
                etag=etag_of(file.stat()),
                rows=rows[0] if rows else 0,
            )
        ],
    )


def _unquoted(text: str, sql: str) -> str:
    """The text without what its reader wrote: a statement's own literals tell its author nothing."""
    literals = [piece for number, piece in enumerate(sql.split("'")) if number % 2]
    for known in {*literals, *re.findall(r"\d+", sql)}:
        # A short one may stand inside what nobody wrote.
        text = text.replace(json.dumps(known)[1:-1], "…") if len(known) >= _OWN_WORDS else text
    return text
