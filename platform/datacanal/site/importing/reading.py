"""Read CSV and JSON with DuckDB: the schema first, then the rows, every bad one named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from datacanal.domain.errors import ImportRefused
from datacanal.formats.sqltext import type_text
from datacanal.planning.quoting import glob_escaped, identifier, literal, literals
from datacanal.site.importing.options import FileFormat, ImportOptions
from datacanal.site.importing.source import Source

_SAMPLE_ROWS = 200_000
"""Lines of CSV from which dialect and types are guessed; all others are held to the guess."""
_LARGEST_OBJECT_BYTES = 64 * 2**20
_NUMBERS = frozenset({"BIGINT", "DOUBLE", "HUGEINT"})
_LINE = re.compile(r"\b[Ll]ine:? (\d+)")
_FIX_ROWS = "Correct the line, or say what it means: --null TEXT, --type COLUMN=VARCHAR, --date-format, --decimal."

Schema = Mapping[str, str]
"""DuckDB types by column, in order."""


@dataclass(frozen=True)
class Reader:
    """One file's way into DuckDB."""

    connection: duckdb.DuckDBPyConnection
    source: Source
    format: FileFormat
    options: ImportOptions

    def sniff(self, types: Schema) -> Schema:
        """Columns and types as they are found, those in `types` as given. Raises `ImportRefused`."""
        schema = self._described(types)
        lossy = self._with_leading_zeros(schema, types) if self.format == "csv" else []
        return {**schema, **dict.fromkeys(lossy, "VARCHAR")}

    def relation(self, schema: Schema) -> str:
        """SQL that reads all rows with exactly the types of `schema`."""
        return self._csv(schema) if self.format == "csv" else self._json(schema)

    def run(self, sql: str) -> int:
        """Run a statement over `relation`, give its row count. Raises `ImportRefused` naming the first bad line."""
        try:
            row = self.connection.execute(sql).fetchone()
        except duckdb.Error as error:
            raise self._refused(error) from None
        if self.format == "csv":
            self._check_rejects()
        return int(row[0]) if row else 0

    def _described(self, types: Schema) -> Schema:
        relation = self._csv(types) if self.format == "csv" else self._json({})
        try:
            rows = self.connection.execute(f"DESCRIBE FROM {relation}").fetchall()
        except duckdb.Error as error:
            raise self._refused(error) from None
        found = {str(name): str(kind) for name, kind, *_ in rows}
        self._check_names(types, found)
        return {name: types.get(name, kind) for name, kind in found.items()}

    def _check_names(self, types: Schema, found: Schema) -> None:
        for name in types:
            if name not in found:
                known = ", ".join(found)
                raise self._refusal(f"there is no column {name!r}", f"Its columns are: {known}.")

    def _csv(self, types: Schema) -> str:
        given = self.options
        settings = {
            "delim": _text(given.delimiter),
            "quote": _text(given.quote),
            "escape": _text(given.escape),
            "header": None if given.header is None else str(given.header).lower(),
            "nullstr": literals(["", *given.null]) if given.null else None,
            "decimal_separator": _text(given.decimal),
            "types": _struct(types) if types else None,
            "sample_size": str(_SAMPLE_ROWS),
            "store_rejects": "true",
        }
        return self._call("read_csv", settings)

    def _json(self, columns: Schema) -> str:
        settings = {
            "format": literal("newline_delimited" if self.format == "ndjson" else "array"),
            # A key that only the last record has is a column too.
            "sample_size": "-1",
            "maximum_object_size": str(_LARGEST_OBJECT_BYTES),
            "columns": _struct(columns) if columns else None,
        }
        return self._call("read_json", settings)

    def _call(self, function: str, settings: Mapping[str, str | None]) -> str:
        every = {
            **settings,
            "compression": literal(self.source.compression),
            "dateformat": _text(self.options.date_format),
            "timestampformat": _text(self.options.timestamp_format),
        }
        given = "".join(f", {name} = {value}" for name, value in every.items() if value is not None)
        return f"{function}({literal(glob_escaped(str(self.source.path)))}{given})"

    def _with_leading_zeros(self, schema: Schema, types: Schema) -> list[str]:
        """Columns that look like numbers but hold codes such as 00420, somewhere in the file: text, or they change."""
        numbers = [name for name, kind in schema.items() if kind in _NUMBERS and name not in types]
        if not numbers:
            return []
        tests = ", ".join(f"bool_or(regexp_matches({identifier(name)}, '^[+-]?0[0-9]'))" for name in numbers)
        relation = self._csv({}).replace("store_rejects = true", "ignore_errors = true, all_varchar = true")
        try:
            row = self.connection.execute(f"FROM {relation} SELECT {tests}").fetchone()
        except duckdb.Error as error:
            raise self._refused(error) from None
        return [name for name, found in zip(numbers, row or (), strict=False) if found]

    def _check_rejects(self) -> None:
        row = self.connection.execute(
            "SELECT line, column_name, error_message FROM reject_errors"
            " WHERE scan_id = (SELECT max(scan_id) FROM reject_errors) ORDER BY line LIMIT 1"
        ).fetchone()
        if row is not None:
            line, column, message = row
            raise self._refusal(f"line {line}, column {column!r}: {_first_line(message)}", _FIX_ROWS, line)

    def _refused(self, error: duckdb.Error) -> ImportRefused:
        words = _first_line(str(error)).replace(str(self.source.path), self.source.file.name)
        match = _LINE.search(str(error))
        line = int(match[1]) if match else None
        if line is not None and _LINE.search(words) is None:
            words = f"line {line}: {words}"
        hint = "See docs/owner.md: say what the file is like with --delimiter, --quote, --header, --encoding, --format."
        return self._refusal(words, hint, line)

    def _refusal(self, reason: str, hint: str, line: int | None = None) -> ImportRefused:
        return ImportRefused(file=str(self.source.file), reason=reason, hint=hint, line=line)


def checked_types(file: str, types: Mapping[str, str]) -> Schema:
    """The types as DuckDB writes them. Raises `ImportRefused` naming what is none."""
    checked = {}
    for column, kind in types.items():
        try:
            checked[column] = type_text(kind)
        except duckdb.Error:
            raise ImportRefused(
                file=file,
                reason=f"{kind!r} of column {column!r} is not a type",
                hint="Use a DuckDB type, for instance BIGINT, DECIMAL(15,2), DATE, TIMESTAMP, VARCHAR.",
            ) from None
    return checked


def _text(value: str | None) -> str | None:
    return None if value is None else literal(value)


def _struct(types: Schema) -> str:
    return "{" + ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items()) + "}"


def _first_line(message: str) -> str:
    lines: Sequence[str] = message.splitlines()
    return lines[0] if lines else "it cannot be read"
