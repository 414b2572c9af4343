"""What the owner of a file knows about it and an import cannot guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from datacanal.domain.errors import ImportRefused

FileFormat = Literal["csv", "ndjson", "json"]
Compression = Literal["auto", "none", "gzip", "zstd"]

_SUFFIXES: Mapping[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".asc": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
}
_PACKED: Mapping[str, Compression] = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True)
class ImportOptions:
    """None means: find out. `null` lists texts that mean NULL besides the empty field; `types` maps columns to types.

    `encoding` is a Python codec; `date_format` and `timestamp_format` are written as for strptime. Delimiter, quote,
    escape, header, null and decimal concern CSV only.
    """

    format: FileFormat | None = None
    compression: Compression = "auto"
    encoding: str = "utf-8"
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: bool | None = None
    null: tuple[str, ...] = ()
    decimal: str | None = None
    date_format: str | None = None
    timestamp_format: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)

    def format_of(self, file: Path) -> FileFormat:
        """The file's format, by its name where none is given."""
        if self.format is not None:
            return self.format
        suffixes = [suffix.lower() for suffix in file.suffixes]
        if suffixes and suffixes[-1] in _PACKED:
            suffixes.pop()
        if suffixes and suffixes[-1] in _SUFFIXES:
            return _SUFFIXES[suffixes[-1]]
        raise ImportRefused(
            file=str(file), reason="its name does not say what it is", hint="Give --format csv, ndjson or json."
        )

    def compression_of(self, file: Path) -> Compression:
        """How the file is packed, by its name where that is not given."""
        if self.compression != "auto":
            return self.compression
        return _PACKED.get(file.suffix.lower(), "none")
