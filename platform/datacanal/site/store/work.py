"""Attempts, outputs and exports: what the site did for jobs and still keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from datacanal.site.store.models import AttemptRow, ExportRow, OutputRow


class WorkStore:
    """Rows come back detached: read them, never change them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save_attempt(self, attempt: AttemptRow) -> None:
        """Keep what an attempt came to."""
        with Session(self._engine) as session, session.begin():
            session.merge(attempt)

    def prune_attempts(self, before_ms: int) -> None:
        """Forget attempts that ended before the instant."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(AttemptRow).where(AttemptRow.finished_ms < before_ms))

    def attempts(self, job: str) -> Sequence[AttemptRow]:
        """What the attempts of a job came to and said."""
        return self._all(select(AttemptRow).where(AttemptRow.job == job).order_by(AttemptRow.finished_ms))

    def save_output(self, output: OutputRow) -> None:
        """Keep what is used at its own site only; what leaves is kept by the egress book."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            session.merge(output)

    def output(self, output_id: str) -> OutputRow | None:
        """The output of that id."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            return session.get(OutputRow, output_id)

    def output_of(self, job: str, step: str, plan_digest: str) -> OutputRow | None:
        """What an earlier attempt of the same step of the same plan left."""
        same = (OutputRow.job == job, OutputRow.step == step, OutputRow.plan_digest == plan_digest)
        return self._first(select(OutputRow).where(*same))

    def result(self, job: str) -> OutputRow | None:
        """The job's result."""
        return self._first(select(OutputRow).where(OutputRow.job == job, OutputRow.is_result))

    def outputs(self, *, job: str | None = None, expired_at_ms: int | None = None) -> Sequence[OutputRow]:
        """Every output kept: of one job, or expired at the instant."""
        query = select(OutputRow).order_by(OutputRow.expires_ms)
        if job is not None:
            query = query.where(OutputRow.job == job)
        if expired_at_ms is not None:
            query = query.where(OutputRow.expires_ms <= expired_at_ms)
        return self._all(query)

    def forget_output(self, output_id: str) -> None:
        """Forget an output and its exports. Their files are the caller's to delete, first."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(ExportRow).where(ExportRow.output == output_id))
            session.execute(delete(OutputRow).where(OutputRow.id == output_id))

    def export(self, output_id: str, format_: str) -> ExportRow | None:
        """An output in another format, if it was made."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            return session.get(ExportRow, (output_id, format_))

    def exports(self) -> Sequence[ExportRow]:
        """Every export kept."""
        return self._all(select(ExportRow))

    def save_export(self, export: ExportRow) -> None:
        """Keep an export that was made."""
        with Session(self._engine) as session, session.begin():
            session.merge(export)

    def forget_export(self, output_id: str, format_: str) -> None:
        """Forget an export; it can be made again."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(ExportRow).where(ExportRow.output == output_id, ExportRow.format == format_))

    def _all(self, query: Any) -> Sequence[Any]:
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            return session.scalars(query).all()

    def _first(self, query: Any) -> OutputRow | None:
        rows: Sequence[OutputRow] = self._all(query.limit(1))
        return rows[0] if rows else None
