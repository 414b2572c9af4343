"""What a driver sent may be anything; whatever it is, it is read as the declared columns or refused."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from datacanal.domain.errors import ContractBroken, DatacanalError, PythonReturnedNoTable
from datacanal.protocol.plan import PlanColumn
from datacanal.site.engine.returned_source import open_returned

CONTRACT = [PlanColumn(name="name", type="VARCHAR"), PlanColumn(name="n", type="BIGINT")]
TABLE = pa.table({"name": ["a", "bc", None], "n": [1, 2, 3]})


def stream(table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def read(folder: Path, content: bytes) -> pa.Table:
    file = folder / "returned"
    file.write_bytes(content)
    with open_returned(str(file), CONTRACT) as reader:
        return reader.read_all()


def test_a_table_of_the_declared_columns_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, stream()).to_pydict() == {"c0": ["a", "bc", None], "c1": [1, 2, 3]}


OTHERS = {
    "fewer": TABLE.select(["name"]),
    "another order": TABLE.select(["n", "name"]),
    "another name": TABLE.rename_columns(["name", "m"]),
    "more": TABLE.append_column("x", TABLE["n"]),
}


@pytest.mark.parametrize("table", OTHERS.values(), ids=OTHERS)
def test_other_columns_are_refused(tmp_path: Path, table: pa.Table) -> None:
    with pytest.raises(ContractBroken, match="name VARCHAR, n BIGINT"):
        read(tmp_path, stream(table))


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PAR1", b"\xff" * 4096, b"ARROW1\x00\x00"])
def test_what_is_no_arrow_is_no_table(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(PythonReturnedNoTable):
        read(tmp_path, content)


def test_nothing_at_all_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(PythonReturnedNoTable), open_returned(str(tmp_path / "absent"), CONTRACT):
        pass


def test_a_stream_that_is_cut_off_is_no_table_or_ends_before_the_cut(tmp_path: Path) -> None:
    whole = stream()
    for end in range(len(whole)):
        try:
            table = read(tmp_path, whole[:end])
        except PythonReturnedNoTable:
            continue
        assert table.num_rows in (0, 3), end


def test_a_batch_that_lies_about_its_lengths_is_no_table(tmp_path: Path) -> None:
    honest = stream()
    offsets = struct.pack("<4i", 0, 1, 3, 3)
    at = honest.index(offsets)
    for lie in ((0, 1, 3, 2**31 - 1), (0, 2**30, 3, 3), (0, -5, 3, 3), (5, 1, 3, 3)):
        with pytest.raises(PythonReturnedNoTable):
            read(tmp_path, honest[:at] + struct.pack("<4i", *lie) + honest[at + len(offsets) :])


def engines_rows(file: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection, open_returned(str(file), CONTRACT) as reader:
        connection.register("returned", reader)
        return connection.execute("SELECT * FROM returned").fetchall()


def test_what_an_engine_makes_of_a_stream_that_is_cut_off_is_no_table_either(tmp_path: Path) -> None:
    file = tmp_path / "returned"
    file.write_bytes(stream())
    assert len(engines_rows(file)) == 3
    file.write_bytes(stream()[:-40])
    with pytest.raises(PythonReturnedNoTable):
        engines_rows(file)


def test_no_flip_of_a_byte_does_more_than_change_values_or_be_refused(tmp_path: Path) -> None:
    honest, chance = stream(), random.Random(20261123)
    for _ in range(2000):
        changed = bytearray(honest)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            read(tmp_path, bytes(changed)).validate(full=True)
        except DatacanalError:
            continue
