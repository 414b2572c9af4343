"""The agent that a false control plane lies to: site `core` with the lake `transactions`, whole but for its processes.

What is sent to it is made in `tests.policy.forged`, mostly signed by the issuer, so that nothing but the agent's own
look stands in the way. What `World.run` gives is what the agent would report.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event
from sqlalchemy.orm import Session

from datacanal.control.identity import Issuer
from datacanal.domain.errors import PeerUnknown
from datacanal.planning.binding import BindRequest, BoundTable, NamedType, Question
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.functions import functions_digest
from datacanal.planning.labelling import input_tables, labelled, traced
from datacanal.planning.lineage import output_labels, protected_labels
from datacanal.protocol.catalogue import DatasetColumn, Snapshot, SnapshotFile
from datacanal.protocol.plan import (
    DatasetInput,
    Estimate,
    PlanColumn,
    Protection,
    Step,
    StepInput,
)
from datacanal.protocol.site import Done, Failed, Lease, Offer
from datacanal.site.approvals import Approvals
from datacanal.site.authorities import Authorities
from datacanal.site.engine.etag import etag_of
from datacanal.site.engine.kernel import Kernel
from datacanal.site.engine.specification import PoolShape, Task, TaskDone, TaskFailed
from datacanal.site.engine.work import KernelSettings, Work
from datacanal.site.fetcher import Arrival, Fetcher
from datacanal.site.fleet.port import Pool
from datacanal.site.gate.passing import EgressGate
from datacanal.site.keys import SiteKeys, load_keys
from datacanal.site.lakes.registry import LakeRegistry
from datacanal.site.places import Places
from datacanal.site.policy import Policy
from datacanal.site.policy.book import PolicyBook
from datacanal.site.policy.governed import Governance
from datacanal.site.python_runs import PythonRuns
from datacanal.site.python_steps import PythonSteps
from datacanal.site.record.entry import Recorded
from datacanal.site.runner import StepRunner
from datacanal.site.running import Running
from datacanal.site.step_datasets import Datasets, Shown
from datacanal.site.store.approvals import ApprovalStore
from datacanal.site.store.entity_sets import EntityLog
from datacanal.site.store.fences import FenceBook
from datacanal.site.store.models import OutputRow
from datacanal.site.store.policies import PolicyStore
from datacanal.site.verifier import Site, StepVerifier
from datacanal.testing.site_books import SiteBooks, open_books
from datacanal.testing.tasks import write_parquet

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
ISSUER = Issuer(Ed25519PrivateKey.from_private_bytes(b"i" * 32))
NOTHING = Estimate(rows=0, bytes=0)
IMAGE = f"sha256:{'a' * 64}"
POLICY = Policy.model_validate(
    {
        "default_class": "public",
        "datasets": {
            "payments": {
                "entity": "person",
                "readers": ["group:risk"],
                "columns": {
                    "person": {"class": "join_key"},
                    "amount": {"class": "aggregate", "min_group": 3, "max_share": 0.9, "buckets": [100]},
                    "note": {"class": "secret"},
                    "born": {"class": "masked", "mask": "year"},
                },
            },
            "cards": {
                "entity": "holder",
                "readers": ["group:cards", "group:stewarded"],
                "python": "approval",
                "columns": {"holder": {"class": "join_key"}, "credit": {"class": "aggregate", "min_group": 3}},
            },
            "salaries": {"python": "never"},
            "orders": {"rows": "id > 3"},
        },
    }
)
ROWS = {
    "payments": "SELECT range AS id, range % 20 AS person, (range % 7)::DOUBLE AS amount, 'n' || range AS note,"
    " DATE '1980-01-01' + (range * 100)::INTEGER AS born, 'c' || range % 4 AS channel FROM range(200)",
    "cards": "SELECT range AS card, range % 20 AS holder, range * 2.0 AS credit FROM range(40)",
    "rates": "SELECT 'c' || range AS channel, range * 0.5 AS rate FROM range(4)",
    "orders": "SELECT range AS id FROM range(10)",
    "salaries": "SELECT range AS employee, range * 100 AS salary FROM range(10)",
}
"""What stands in the lake. Twenty people, fifty payments a channel."""


class Pinned:
    """The sites that the owner pinned."""

    def __init__(self, keys: Mapping[str, SiteKeys]) -> None:
        self._keys = keys

    def key_of(self, site: str) -> str:
        if site not in self._keys:
            raise PeerUnknown(site="core", peer=site, reason="no certificate of it is pinned here")
        return self._keys[site].public


class OneKernel:
    """A pool of one kernel in a thread: no process and no new database for each task."""

    slots = 1

    def __init__(self, shape: PoolShape) -> None:
        self._shape = shape
        self._kernel = Kernel(
            KernelSettings(
                readable=shape.readable,
                scratch=shape.scratch,
                spill=str(Path(shape.scratch, "spill")),
                spill_bytes=shape.spill_bytes,
                memory_bytes=shape.memory_bytes,
                threads=shape.threads,
            )
        )

    async def run(self, task: Task) -> TaskDone | TaskFailed:
        work = Work(task=task, memory_bytes=self._shape.memory_bytes, threads=self._shape.threads)
        return await asyncio.to_thread(self._kernel.run, work)

    def close(self) -> None:
        self._kernel.close()


class Post:
    """Brings what it was given, whatever was offered."""

    def __init__(self) -> None:
        self.content = b""

    async def fetch(self, offer: Offer, file: Path, arrival: Arrival) -> None:
        await asyncio.to_thread(file.write_bytes, self.content)
        arrival.bytes += len(self.content)


@dataclass
class Clock:
    """What time it is at the agent."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass(eq=False)
class World:
    """The agent of `core`, its lake, and the keys of the others. `reopen` is a restart."""

    home: Path
    clock: Clock = field(default_factory=Clock)
    jobs: int = 0
    image: str = IMAGE

    def __post_init__(self) -> None:
        self.keys = {name: _keys(self.home, name) for name in ("users", "attacker")}
        self.snapshots = {name: _snapshot(self.home / "lake", name) for name in ROWS}
        self.governance = Governance(lambda _lake: "00" * 32)
        self.binder = DuckDBBinder()
        self.post = Post()
        scratch, lake = str(Places(self.home / "core").scratch), str(self.home / "lake")
        self.pool = OneKernel(PoolShape(workers=1, threads=1, memory_bytes=2**29, readable=[lake], scratch=scratch))
        self.open()

    def open(self) -> None:
        self.books: SiteBooks = open_books(self.home / "core")
        # Only processes end here, never machines: nothing has to reach the disk.
        self.books.engine.dispose()
        event.listen(self.books.engine, "connect", lambda given, _: given.execute("PRAGMA synchronous = OFF"))
        self.policies = PolicyBook({"transactions": POLICY}, {}, PolicyStore(self.books.engine), self.clock, 7200)
        self.verifier = self.verifier_of(Pinned({"users": self.keys["users"]}))
        self.runner = self._runner()

    def reopen(self) -> None:
        self.books.close()
        self.open()

    def close(self) -> None:
        self.books.close()
        self.pool.close()
        self.binder.close()

    def verifier_of(self, pins: Pinned) -> StepVerifier:
        by_id = {snapshot.id: snapshot for snapshot in self.snapshots.values()}
        lakes = frozenset({"transactions"})
        datasets = Datasets("core", lakes, by_id.get, self.policies, self.shown)
        approvals = Approvals("core", ApprovalStore(self.books.engine), self.clock)
        return StepVerifier(
            site=Site("core", duckdb.__version__, functions_digest(), lakes),
            authorities=Authorities("core", lambda: ISSUER.public, self.clock),
            datasets=datasets,
            python=PythonSteps("core", datasets, approvals, lambda _: self.image, self.clock),
            pins=pins,
            outputs=self.books.work,
            fences=FenceBook(self.books.engine),
            record=self.books.record.add,
            clock=self.clock,
        )

    def _runner(self) -> StepRunner:
        places = Places(self.home / "core")
        books = self.books
        return StepRunner(
            site=self.verifier.site,
            verifier=self.verifier,
            keys=books.keys,
            exchange_url="https://127.0.0.1:8410",
            places=places,
            lakes=cast("LakeRegistry", SimpleNamespace(roots={"transactions": self.home / "lake"})),
            work=books.work,
            gate=EgressGate("core", self.policies, books.egress, EntityLog(books.engine)),
            fetcher=cast("Fetcher", self.post),
            python=PythonRuns("core", None, dict),
            pool=cast("Pool", self.pool),
            clock=self.clock,
            new_id=lambda prefix: f"{prefix}_{os.urandom(8).hex()}",
            transfer_expiry_s=7200,
        )

    def run(self, lease: Lease) -> Done | Failed:
        """What the agent reports of the lease, its pool being threads of this process."""

        return asyncio.run(self.runner.run(lease, Running()))

    def shown(self, policy: Policy, snapshot: Snapshot) -> Shown:
        seen = self.governance.of(policy, snapshot)
        return Shown(seen.plan_columns, seen.rules)

    def new_job(self) -> str:
        self.jobs += 1
        return f"job_{self.jobs}"

    def keep(self, output: OutputRow) -> None:
        """Put an output into the site's store, whoever made it."""
        with Session(self.books.engine) as session, session.begin():
            session.merge(output)

    def entries(self, job: str) -> Sequence[Recorded]:
        return self.books.record.entries(job)

    def dataset(self, name: str, occurrence: str = "occ0") -> DatasetInput:
        """The dataset as an honest plan names it."""
        snapshot = self.snapshots[name]
        columns = list(self.shown(POLICY, snapshot).columns)
        return DatasetInput(
            occurrence=occurrence, lake="transactions", dataset=name, snapshot=snapshot.id, columns=columns
        )

    def step(self, step_id: str, kind: str, sql: str, inputs: Sequence[StepInput], site: str = "core") -> Step:
        """A step with the labels that an honest planner finds."""
        binding, relation = self._bound(sql, inputs)
        return Step.model_validate(
            {"id": step_id, "site": site, "kind": kind, "sql": sql, "inputs": list(inputs), "estimate": NOTHING,
             "columns": labelled(binding, relation)}
        )  # fmt: skip

    def aggregate(self, step_id: str, sql: str, inputs: Sequence[StepInput], protection: Protection) -> Step:
        """An aggregate step as an honest planner makes it; its measures are sums."""
        columns = self.relation(sql, inputs)
        _, relation = self._bound(sql, inputs)
        labels = protected_labels(relation, protection, [column.name for column in columns])
        types = {column.name: column.type for column in columns}
        names = [*protection.groups, *(f"a{number}" for number in range(len(protection.measures)))]
        given = [
            PlanColumn(name=name, type=types.get(name, "DOUBLE"), label=label)
            for name, label in zip(names, labels, strict=True)
        ]
        return Step(
            id=step_id, site="core", kind="aggregate", sql=sql, inputs=list(inputs), columns=given, relation=columns,
            protection=protection, estimate=NOTHING,
        )  # fmt: skip

    def relation(self, sql: str, inputs: Sequence[StepInput]) -> list[PlanColumn]:
        """The columns that the text gives, each with the label that says of itself what it is."""
        binding, relation = self._bound(sql, inputs)
        labels = output_labels(relation)
        return [
            PlanColumn(name=column.name, type=column.type, label=label)
            for column, label in zip(binding.columns, labels, strict=True)
        ]

    def _bound(self, sql: str, inputs: Sequence[StepInput]) -> Any:
        tables = [
            BoundTable(
                occurrence=item.occurrence,
                lake=item.lake,
                dataset=item.dataset,
                columns=[NamedType(name=column.name, type=column.type) for column in item.columns],
            )
            for item in inputs
        ]
        question = Question(sql=sql, lineage=True)
        [binding] = self.binder.bind(
            BindRequest(tables=tables, questions=[question], now=NOON.isoformat(), prefix="base")
        )
        return binding, traced(binding, input_tables(inputs))


def _keys(home: Path, name: str) -> SiteKeys:
    return load_keys(home / name, lambda length: name.encode()[:1] * length)


def _snapshot(lake: Path, name: str) -> Snapshot:
    file = write_parquet(lake / name / "1.parquet", ROWS[name])
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE {ROWS[name]}").fetchall()
    size = file.stat().st_size
    return Snapshot(
        id=f"snp_{name}",
        lake="transactions",
        dataset=name,
        columns=[DatasetColumn(name=row[0], type=row[1]) for row in described],
        files=[SnapshotFile(path=f"{name}/1.parquet", size_bytes=size, etag=etag_of(file.stat()), rows=200)],
    )
