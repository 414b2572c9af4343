"""Results as they are kept and sent: exported once per format on the pool, uploaded in bounded memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakValueDictionary

import duckdb
import structlog

from datacanal.domain.errors import AuthorityRefused, BadField, DatacanalError, OutputLost, ResultExpired
from datacanal.formats.sqltext import parsed_type
from datacanal.formats.types import changes
from datacanal.protocol.plan import PlanColumn
from datacanal.protocol.problem import error_of, problem_of
from datacanal.protocol.public import RESULT_FORMATS, ResultFormat
from datacanal.protocol.site import UploadCommand
from datacanal.site.authorities import Authorities
from datacanal.site.control_link import ControlLink
from datacanal.site.engine.specification import TaskDone
from datacanal.site.fleet.port import Pool
from datacanal.site.places import Places
from datacanal.site.record.entry import Entry
from datacanal.site.store.models import ExportRow, OutputRow
from datacanal.site.store.work import WorkStore
from datacanal.site.tasks import export_task

_CHUNK_BYTES = 2**20
_log = structlog.get_logger()


@dataclass(frozen=True)
class _Export:
    """A finished file in the format asked for."""

    path: Path
    bytes: int
    digest: str


class ResultDesk:
    """Answers upload commands. Two for the same format at once make the export once."""

    def __init__(
        self,
        site: str,
        pool: Pool,
        link: ControlLink,
        work: WorkStore,
        places: Places,
        authorities: Authorities,
        record: Callable[[Entry], object],
        clock: Callable[[], datetime],
    ) -> None:
        self._site = site
        self._pool = pool
        self._link = link
        self._work = work
        self._places = places
        self._authorities = authorities
        self._record = record
        self._clock = clock
        self._making: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def upload(self, command: UploadCommand) -> None:
        """Send the result, or say why it cannot be sent. A broken upload is the control plane's to ask for again."""
        try:
            export = await self._export_of(command)
            part = _part(export.path, command.offset)
            await self._link.upload(
                command.upload, part, offset=command.offset, length=export.bytes, digest=export.digest
            )
        except FileNotFoundError:
            await self._refuse(command, OutputLost(step="result", site=self._site))
        except DatacanalError as error:
            await self._refuse(command, error)

    async def _refuse(self, command: UploadCommand, error: DatacanalError) -> None:
        _log.warning("upload_refused", upload=command.upload, job=command.job, code=error.code)
        try:
            await self._link.refuse(command.upload, problem_of(error))
        except DatacanalError as refused:  # the upload is gone, or nobody is there to be told
            _log.warning("refusal_undelivered", upload=command.upload, code=refused.code)

    async def _export_of(self, command: UploadCommand) -> _Export:
        result = await asyncio.to_thread(self._work.result, command.job)
        if result is None:
            raise OutputLost(step="result", site=self._site)
        expires = datetime.fromtimestamp(result.expires_ms / 1000, UTC)
        if expires <= self._clock():
            raise ResultExpired(job=command.job, expired_at=expires.isoformat())
        await asyncio.to_thread(self._check_caller, command, result)
        format_ = _known_format(command.format)
        columns = [PlanColumn.model_validate(column) for column in json.loads(result.columns)]
        if format_ == "arrow" and is_public_already(columns):
            return _Export(Path(result.path), result.bytes, result.digest)
        async with self._making.setdefault((result.id, format_), asyncio.Lock()):
            kept = await asyncio.to_thread(self._kept, result, format_)
            if kept is None:
                kept = await self._made(result, columns, format_)
        return _Export(Path(kept.path), kept.bytes, kept.digest)

    def _check_caller(self, command: UploadCommand, result: OutputRow) -> None:
        """A result is its submitter's; what they may see, nobody else may on their behalf. Records a refusal."""
        try:
            caller = self._authorities.verified(command.authority)
            if (caller.job, caller.tenant, caller.principal) != (result.job, result.tenant, result.principal):
                raise self._authorities.refusal("a result goes to whoever submitted its job")
        except AuthorityRefused as error:
            self._record(_refused(result, error, self._clock()))
            raise

    def _kept(self, result: OutputRow, format_: str) -> ExportRow | None:
        export = self._work.export(result.id, format_)
        return export if export is not None and Path(export.path).is_file() else None

    async def _made(self, result: OutputRow, columns: list[PlanColumn], format_: ResultFormat) -> ExportRow:
        file = self._places.outputs / f"{result.id}.export.{format_}"
        file.unlink(missing_ok=True)
        room_bytes = await asyncio.to_thread(self._places.room_bytes)
        task = export_task(f"{result.id}.{format_}", Path(result.path), columns, file, format_, room_bytes)
        outcome = await self._pool.run(task)
        if not isinstance(outcome, TaskDone):
            file.unlink(missing_ok=True)
            raise error_of(outcome.problem)
        export = ExportRow(
            output=result.id,
            format=format_,
            path=str(file),
            bytes=outcome.bytes,
            digest=outcome.digest,
            tenant=result.tenant,
            principal=result.principal,
        )
        await asyncio.to_thread(self._work.save_export, export)
        return export


def _refused(result: OutputRow, error: AuthorityRefused, now: datetime) -> Entry:
    return Entry(
        at_ms=int(now.timestamp() * 1000),
        kind="result",
        decision="refused",
        tenant=result.tenant,
        principal=result.principal,
        job=result.job,
        step=result.step,
        plan_digest=result.plan_digest,
        digest=result.digest,
        reason=f"{error.code}: {error.detail}",
    )


def is_public_already(columns: list[PlanColumn]) -> bool:
    """Whether the lossless stream of these columns is what the public Arrow format would be."""
    try:
        kinds = [parsed_type(column.type) for column in columns]
    except duckdb.Error:
        return False
    return not any(changes(kind, "arrow") or changes(kind, "lossless") for kind in kinds)


def _known_format(name: str) -> ResultFormat:
    for known in RESULT_FORMATS:
        if known == name:
            return known  # type: ignore[return-value]  # mypy does not narrow to the tuple's literals
    raise BadField(field="format", reason=f"one of {', '.join(RESULT_FORMATS)} is needed")


async def _part(file: Path, offset: int) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        stream.seek(offset)
        while chunk := await asyncio.to_thread(stream.read, _CHUNK_BYTES):
            yield chunk
