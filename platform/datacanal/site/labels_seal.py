"""Labels on their way: the sending agent signs those of a step's output, the receiving agent reads and verifies them.

They travel in the schema of the Arrow stream. The receiver reads no more of a stream than its schema, and of that only
so much, before it knows whose it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from datacanal.domain.errors import LabelsDiffer, TransferDamaged
from datacanal.protocol.plan import PlanColumn, Step, labels_text
from datacanal.protocol.site import Lease
from datacanal.site.keys import SiteKeys, is_signed_by

LABELS_KEY = "datacanal.labels"
SIGNATURE_KEY = "datacanal.signature"
_SCHEMA_AT_MOST = 16 * 2**20
_CONTINUES = b"\xff\xff\xff\xff"
_COLUMNS: TypeAdapter[list[PlanColumn]] = TypeAdapter(list[PlanColumn])


def sealed(lease: Lease, step: Step, keys: SiteKeys) -> dict[str, str]:
    """The schema metadata of the step's output: its labels, signed for this job and plan.

    Signed before the step runs: it gives an output only if the kernel works out the very same labels.
    """
    labels = _COLUMNS.dump_json(step.columns).decode()
    return {
        LABELS_KEY: labels,
        SIGNATURE_KEY: keys.sign(labels_text(lease.job, step.id, lease.plan_digest, step.columns)),
    }


def received_labels(file: Path, lease: Lease, sender: Step, key: str, site: str) -> list[PlanColumn]:
    """The columns of a received output as its sender signed them with `key`; `site` is who reads them.

    Raises `TransferDamaged` where the file is no Arrow stream, and `LabelsDiffer` where its labels are not signed, not
    by that key, not for this job, plan and step, or are not those that were planned.
    """
    schema = _schema(file, sender.site)
    metadata = _texts(schema.metadata)
    columns = _declared(metadata, sender, site)
    text = labels_text(lease.job, sender.id, lease.plan_digest, columns)
    if not is_signed_by(key, text, metadata.get(SIGNATURE_KEY, "")):
        reason = f"they are not signed by site {sender.site!r} for this step, job and plan"
        raise _differ(site, sender, reason)
    if columns != sender.columns:
        raise _differ(site, sender, f"site {sender.site!r} signed others than were planned")
    if schema.names != [column.name for column in columns]:
        raise _differ(site, sender, "the stream has other columns")
    return columns


def _declared(metadata: Mapping[str, str], sender: Step, site: str) -> list[PlanColumn]:
    try:
        return _COLUMNS.validate_json(metadata.get(LABELS_KEY, ""))
    except ValidationError:
        raise _differ(site, sender, "the transfer carries none") from None


def _differ(site: str, sender: Step, reason: str) -> LabelsDiffer:
    return LabelsDiffer(site=site, columns=f"the output of step {sender.id!r}", reason=reason)


def _texts(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (metadata or {}).items()}


def _schema(file: Path, site: str) -> pa.Schema:
    try:
        with file.open("rb") as stream:
            return pa.ipc.read_schema(pa.py_buffer(_first_message(stream)))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TransferDamaged(site=site, reason="it does not begin with the schema of an Arrow stream") from error


def _first_message(stream: BinaryIO) -> bytes:
    """The bytes of the stream's first message. Raises `ValueError` where it has none of a sane length."""
    head = stream.read(8)
    length = int.from_bytes(head[4:], "little")
    if head[:4] != _CONTINUES or not 0 < length <= _SCHEMA_AT_MOST:
        raise ValueError("no message of an Arrow stream")
    message = stream.read(length)
    if len(message) != length:
        raise ValueError("the message is cut")
    return head + message
