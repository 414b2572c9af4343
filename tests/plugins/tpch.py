"""TPC-H at run time: texts and data come from an extension of another DuckDB, in an environment of its own.

`make` builds `.venv-tpch` from `requirements/tpch.lock`; nothing of TPC-H is in the project. Data is made once per
scale factor into `.cache/tpch`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "tpch"
PYTHON = ROOT / ".venv-tpch" / "bin" / "python"
ABSENT = "no TPC-H environment (.venv-tpch): `make test` builds it from requirements/tpch.lock"

LAKES = {
    "users": ("customer", "supplier", "nation", "region"),
    "transactions": ("part", "partsupp", "orders", "lineitem"),
}
"""Which table lies in which lake: who is in `users`, what happened in `transactions`."""

_LOAD = """
import duckdb, duckdb_extension_tpch, json, pathlib, sys
connection = duckdb.connect()
folder = pathlib.Path(duckdb_extension_tpch.__file__).parent / "extensions"
connection.load_extension(str(next(folder.rglob("tpch.duckdb_extension"))))
"""

_QUERIES = (
    _LOAD
    + """
rows = connection.execute("SELECT query_nr, query FROM tpch_queries()").fetchall()
json.dump(dict(rows), open(sys.argv[1], "w"))
"""
)

_DATA = (
    _LOAD
    + """
scale, target, lakes = float(sys.argv[1]), pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
connection.execute(f"CALL dbgen(sf = {scale})")
for lake, tables in lakes.items():
    for table in tables:
        folder = target / lake / table
        folder.mkdir(parents=True)
        connection.execute(f"COPY {table} TO '{folder / 'part-0.parquet'}' (FORMAT parquet, COMPRESSION zstd)")
"""
)


def tpch_is_here() -> bool:
    """Whether the TPC-H environment exists."""
    return PYTHON.exists()


def tpch_queries() -> dict[int, str]:
    """The 22 texts by number, as they come: with bare table names."""
    file = CACHE / "queries.json"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = CACHE / "queries.json.new"
        _run(_QUERIES, str(made))
        made.rename(file)
    return {int(number): text.rstrip().rstrip(";") for number, text in json.loads(file.read_text()).items()}


def tpch_lakes(scale: float) -> dict[str, Path]:
    """The two lakes at a scale factor, as folders of Parquet; made when they are not there yet."""
    folder = CACHE / f"sf{scale:g}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = CACHE / f"sf{scale:g}.new"
        shutil.rmtree(made, ignore_errors=True)
        _run(_DATA, str(scale), str(made), json.dumps(LAKES))
        made.rename(folder)
    return {lake: folder / lake for lake in LAKES}


def _run(program: str, *arguments: str) -> None:
    subprocess.run([PYTHON, "-c", program, *arguments], check=True)


@pytest.fixture(scope="session")
def tpch() -> dict[str, Path]:
    """The lakes of TPC-H at scale 0.1."""
    if not tpch_is_here():
        pytest.skip(ABSENT)
    return tpch_lakes(0.1)
