"""A gate with its books in a folder, and aggregates as a kernel leaves them before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa

from datacanal.domain.errors import PolicyChanged
from datacanal.planning.grouping import guard, numbered_groups, output
from datacanal.protocol.labels import Label, Origin, Owner
from datacanal.protocol.plan import Entity, Measure, PlanColumn, Protection
from datacanal.site.gate.passing import EgressGate, Passage
from datacanal.site.gate.protection import Guarded
from datacanal.site.policy import Policy
from datacanal.site.store.egress import Release, Source
from datacanal.site.store.entity_sets import EntityLog
from datacanal.site.store.models import OutputRow
from datacanal.testing.site_books import open_books

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
RELEASE = Release(
    tenant="local",
    principal="ana",
    purpose="fraud",
    job="job_1",
    step="s1",
    kind="transfer",
    receivers=("west",),
    plan_digest="plan",
    digest="d1",
    rows=10,
    bytes=1000,
    columns=(PlanColumn(name="a", type="INTEGER"),),
    sources=(Source("t", "payments", "snp_1", "p"),),
)
OWNER = Owner(lake="t", dataset="payments", policy="p")
AMOUNT = Origin(
    lake="t",
    dataset="payments",
    column="amount",
    policy_class="aggregate",
    entity="account",
    min_group=5,
    max_share=0.8,
)
PROTECTION = Protection(
    groups=["g0"],
    measures=[Measure(function="sum", column="m0"), Measure(function="count_star")],
    entities=[Entity(column="e0", lake="t", dataset="payments")],
)


def policy(**content: object) -> Policy:
    return Policy.model_validate({"default_class": "public", **content})


def labelled(name: str, *origins: Origin, policy_class: str = "public") -> PlanColumn:
    label = Label.model_validate({"policy_class": policy_class, "owners": [OWNER], "origins": list(origins)})
    return PlanColumn(name=name, type="INTEGER", label=label)


class Held:
    """The policies of a site's lakes, each the only one of its lake there ever was."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies = policies

    def at(self, lake: str, digest: str, issued_s: int) -> Policy:
        if lake not in self._policies:
            raise PolicyChanged(lake=lake)
        return self._policies[lake]


class House:
    """A gate and all that it writes to."""

    def __init__(self, folder: Path, **policies: Policy) -> None:
        self.folder = folder
        books = open_books(folder)
        self.record = books.record
        self.work = books.work
        self.engine = books.engine
        self.log = EntityLog(books.engine)
        self.gate = EgressGate("core", Held(policies), books.egress, self.log)

    def out(self, release: Release, at: datetime = NOON) -> OutputRow:
        return self.gate.pass_out(Passage(release, row_of(release, Path("x")), 0), at)

    def aggregate(self, rows: str, release: Release = RELEASE, at: datetime = NOON, min_group: int = 5) -> list[str]:
        """Group the rows (g0, m0, e0) and let them out: the names of the groups that came through."""
        file = self.folder / f"{release.job}.{release.step}.arrow"
        passage = aggregate_passage(rows, file, release, min_group)
        self.gate.pass_out(passage, at)
        return groups_in(file)


def row_of(release: Release, file: Path) -> OutputRow:
    return OutputRow(
        id=f"out_{release.job}_{release.step}_{release.digest}",
        job=release.job,
        step=release.step,
        plan_digest=release.plan_digest,
        path=str(file),
        rows=release.rows,
        bytes=release.bytes,
        digest=release.digest,
        scanned_bytes=0,
        is_result=False,
        columns="[]",
        expires_ms=0,
        tenant=release.tenant,
        principal=release.principal,
    )


def aggregate_passage(
    rows: str,
    file: Path,
    release: Release = RELEASE,
    min_group: int = 5,
    protection: Protection = PROTECTION,
) -> Passage:
    """The output and the guard of an aggregate over the rows, as the kernel writes them."""
    guard_file = file.with_suffix(".guard")
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"CREATE TEMP TABLE relation AS {rows}")
        connection.execute(f"CREATE TEMP TABLE groups AS {numbered_groups(protection, 'relation')}")
        table = connection.sql(output(protection, "groups")).to_arrow_table().replace_schema_metadata({"k": "v"})
        write_stream(file, table, "zstd")
        write_stream(guard_file, connection.sql(guard(protection, "relation", "groups")).to_arrow_table(), None)
    content = file.read_bytes()
    origin = AMOUNT.model_copy(update={"min_group": min_group})
    columns = (labelled("g0"), labelled("a0", origin.model_copy(update={"released": True})), labelled("a1"))
    asked = replace(
        release,
        columns=columns,
        rows=table.num_rows,
        bytes=len(content),
        digest=sha256(content).hexdigest(),
    )
    relation: Sequence[PlanColumn] = (
        labelled("g0"),
        labelled("m0", origin, policy_class="aggregate"),
        labelled("e0"),
    )
    return Passage(asked, row_of(asked, file), 0, Guarded(protection, relation, file, guard_file, table.num_rows))


def write_stream(file: Path, table: pa.Table, compression: str | None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table, max_chunksize=3)


def groups_in(file: Path) -> list[str]:
    with pa.ipc.open_stream(file.read_bytes()) as stream:
        table = stream.read_all()
    return sorted(str(name) for name in table["g0"].to_pylist())
