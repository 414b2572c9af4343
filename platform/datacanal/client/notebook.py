"""What a notebook shows of a job."""

from __future__ import annotations

from html import escape

import pyarrow as pa

from datacanal.protocol.public import JobView

_LONGEST_CELL = 200
_LONGEST_SQL = 300


def job_html(view: JobView, preview: pa.Table | None) -> str:
    """State and statement, then the first rows or the problem; every text is escaped."""
    parts = [
        f"<p><b>{escape(view.id)}</b> {escape(view.state)} <code>{escape(_cut(view.sql, _LONGEST_SQL))}</code></p>"
    ]
    if view.problem is not None:
        parts.append(f"<p>{escape(view.problem.detail)}<br><i>{escape(view.problem.remedy)}</i></p>")
    if preview is not None:
        parts.append(_table_html(preview))
    if preview is not None and view.result is not None and view.result.rows > preview.num_rows:
        parts.append(f"<p>… {view.result.rows - preview.num_rows:,} more rows; .to_pandas() fetches all</p>")
    return "\n".join(parts)


def _table_html(table: pa.Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.column_names)
    columns = [column.to_pylist() for column in table.columns]
    rows = ["".join(f"<td>{_cell(value)}</td>" for value in row) for row in zip(*columns, strict=True)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return "<i>NULL</i>" if value is None else escape(_cut(str(value), _LONGEST_CELL))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
