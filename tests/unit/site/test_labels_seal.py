"""Labels count only as the sender signed them for this step, job and plan, whatever else a stream may hold."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pyarrow as pa
import pytest

from datacanal.domain.errors import LabelsDiffer, TransferDamaged
from datacanal.protocol.labels import Label, Origin, Owner
from datacanal.protocol.plan import PlanColumn, Step
from datacanal.protocol.site import Lease
from datacanal.site.keys import SiteKeys, load_keys
from datacanal.site.labels_seal import LABELS_KEY, SIGNATURE_KEY, received_labels, sealed
from datacanal.testing.compiler_fake import plan_across

KEY = Label(
    policy_class="join_key",
    owners=[Owner(lake="people", dataset="persons", policy="p" * 64)],
    origins=[Origin(lake="people", dataset="persons", column="person", policy_class="join_key")],
)
COLUMNS = [PlanColumn(name="person", type="BIGINT", label=KEY), PlanColumn(name="é", type="VARCHAR")]
PLAN = plan_across("users", "core")
SENDER = PLAN.step("s1").model_copy(update={"columns": COLUMNS})


@pytest.fixture
def keys(tmp_path: Path) -> SiteKeys:
    return load_keys(tmp_path / "users", lambda length: b"k" * length)


def lease(job: str = "job_1", plan_digest: str = PLAN.digest) -> Lease:
    return Lease(
        authority="",
        job=job,
        step="s1",
        fence=1,
        attempt=1,
        tenant="default",
        principal="ana",
        purpose=None,
        plan=PLAN,
        plan_digest=plan_digest,
        inputs=[],
        consumers=[],
        is_result=False,
        result_expiry_s=60,
    )


def stream(file: Path, metadata: dict[str, str] | None, names: tuple[str, ...] = ("person", "é")) -> Path:
    fields = [pa.field(names[0], pa.int64()), *(pa.field(name, pa.string()) for name in names[1:])]
    arrays = [pa.array([1, 2]), *(pa.array(["a", "b"]) for _ in names[1:])]
    schema = pa.schema(fields, metadata=metadata)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return file


def read(file: Path, keys: SiteKeys, sender: Step = SENDER) -> list[PlanColumn]:
    return received_labels(file, lease(), sender, keys.public, "core")


def difference(file: Path, keys: SiteKeys, sender: Step = SENDER) -> str:
    with pytest.raises(LabelsDiffer) as caught:
        read(file, keys, sender)
    return caught.value.detail


def test_labels_arrive_as_they_were_sealed(tmp_path: Path, keys: SiteKeys) -> None:
    file = stream(tmp_path / "x", sealed(lease(), SENDER, keys))
    assert read(file, keys) == COLUMNS


def test_a_stream_without_labels_or_signature_is_refused(tmp_path: Path, keys: SiteKeys) -> None:
    whole = sealed(lease(), SENDER, keys)
    assert "carries none" in difference(stream(tmp_path / "x", None), keys)
    assert "carries none" in difference(stream(tmp_path / "x", {SIGNATURE_KEY: whole[SIGNATURE_KEY]}), keys)
    assert "not signed" in difference(stream(tmp_path / "x", {LABELS_KEY: whole[LABELS_KEY]}), keys)


def test_edited_labels_are_refused(tmp_path: Path, keys: SiteKeys) -> None:
    whole = sealed(lease(), SENDER, keys)
    edited = {**whole, LABELS_KEY: whole[LABELS_KEY].replace("join_key", "public")}
    assert "not signed" in difference(stream(tmp_path / "x", edited), keys)


def test_edited_labels_signed_with_another_key_are_refused(tmp_path: Path, keys: SiteKeys) -> None:
    thief = load_keys(tmp_path / "thief", lambda length: b"t" * length)
    assert "not signed" in difference(stream(tmp_path / "x", sealed(lease(), SENDER, thief)), keys)


@pytest.mark.parametrize(
    ("given", "step"),
    [(lease(job="job_2"), SENDER), (lease(plan_digest="0" * 64), SENDER),
     (lease(), SENDER.model_copy(update={"id": "s2"}))],
    ids=["job", "plan", "step"],
)  # fmt: skip
def test_labels_of_another_job_plan_or_step_are_refused(
    tmp_path: Path, keys: SiteKeys, given: Lease, step: Step
) -> None:
    assert "not signed" in difference(stream(tmp_path / "x", sealed(given, step, keys)), keys)


def test_labels_that_were_signed_but_not_planned_are_refused(tmp_path: Path, keys: SiteKeys) -> None:
    file = stream(tmp_path / "x", sealed(lease(), SENDER, keys))
    planned = SENDER.model_copy(update={"columns": [PlanColumn(name="person", type="BIGINT"), COLUMNS[1]]})
    assert "than were planned" in difference(file, keys, planned)


def test_a_stream_with_other_columns_than_its_labels_is_refused(tmp_path: Path, keys: SiteKeys) -> None:
    metadata = sealed(lease(), SENDER, keys)
    assert "other columns" in difference(stream(tmp_path / "x", metadata, ("person", "name")), keys)
    assert "other columns" in difference(stream(tmp_path / "x", metadata, ("person", "é", "more")), keys)


@pytest.mark.parametrize(
    "content",
    [b"", b"ARROW1", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\x00\x00\x00\x00", b"\xff\xff\xff\xff\xff\xff\xff\x7f",
     b"\xff\xff\xff\xff\x08\x00\x00\x00short", b"\xff\xff\xff\xff\x08\x00\x00\x00" + b"\xff" * 8],
)  # fmt: skip
def test_what_is_no_stream_is_a_damaged_transfer(tmp_path: Path, keys: SiteKeys, content: bytes) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(TransferDamaged):
        read(file, keys)


def test_a_file_that_is_gone_is_a_damaged_transfer(tmp_path: Path, keys: SiteKeys) -> None:
    with pytest.raises(TransferDamaged):
        read(tmp_path / "gone", keys)


def test_no_mutation_of_a_stream_gets_past(tmp_path: Path, keys: SiteKeys) -> None:
    """Either it is noticed, or only bytes behind the schema changed, which the transfer's digest holds."""
    chance = random.Random(7)
    file = stream(tmp_path / "x", sealed(lease(), SENDER, keys))
    whole = file.read_bytes()
    head = 8 + int.from_bytes(whole[4:8], "little")
    for _ in range(300):
        changed = bytearray(whole[:head])
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(head)] = chance.randrange(256)
        file.write_bytes(changed)
        with contextlib.suppress(LabelsDiffer, TransferDamaged):
            assert read(file, keys) == COLUMNS
