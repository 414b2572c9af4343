"""The file as DuckDB can read it: UTF-8 text, unpacked on the way where another encoding has to be turned into it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from datacanal.domain.errors import ImportRefused
from datacanal.site.importing.options import Compression, ImportOptions

_CHUNK_BYTES = 2**20
_READ_AS_IT_IS = frozenset({"utf-8", "utf-8-sig", "ascii"})
_CHECK_ENCODING = "Name the encoding that it was written in, for instance --encoding cp1250."


@dataclass(frozen=True)
class Source:
    """`path` is what is read, `file` is what the owner knows it by."""

    file: Path
    path: Path
    compression: Compression


def open_source(file: Path, options: ImportOptions, staging: Path) -> Source:
    """The file itself, or a UTF-8 copy of it in `staging`. Raises `ImportRefused`."""
    try:
        encoding = codecs.lookup(options.encoding).name
        codecs.getincrementaldecoder(encoding)
    except LookupError:
        hint = "Use a Python codec's name, for instance utf-8, cp1250, iso8859-2, gb18030."
        raise ImportRefused(
            file=str(file), reason=f"the encoding {options.encoding!r} is not known", hint=hint
        ) from None
    if not file.is_file():
        raise ImportRefused(file=str(file), reason="there is no such file", hint="Check the path.")
    if file.stat().st_size == 0:
        raise ImportRefused(file=str(file), reason="the file is empty", hint="Check that it was written whole.")
    compression = options.compression_of(file)
    if encoding in _READ_AS_IT_IS:
        return Source(file, file, compression)
    copy = staging / "utf8"
    try:
        _transcode(file, copy, encoding, compression)
    except OSError as error:
        raise ImportRefused(file=str(file), reason=str(error), hint="Check --compression and the disk.") from None
    return Source(file, copy, "none")


def _transcode(file: Path, copy: Path, encoding: str, compression: Compression) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with _opened(file, compression) as stream, copy.open("w", encoding="utf-8", newline="") as out:
        while True:
            chunk = stream.read(_CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise _undecodable(file, line, error) from None
            out.write(text)
            line += text.count("\n")
            if not chunk:
                return


def _undecodable(file: Path, line: int, error: UnicodeDecodeError) -> ImportRefused:
    wrong = error.object[error.start : error.end].hex(" ")
    reason = f"line {line}: the bytes {wrong} are not {error.encoding}"
    return ImportRefused(file=str(file), reason=reason, hint=_CHECK_ENCODING, line=line)


def _opened(file: Path, compression: Compression) -> Any:
    return pa.input_stream(str(file), compression=None if compression == "none" else compression)
