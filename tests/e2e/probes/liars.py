"""Functions that answer for their driver: whatever they find in its process, they use."""

from __future__ import annotations

import gc
import io
import os
import pickle
import socket
import struct
import time
from typing import Any

import pyarrow as pa

MARKER = "datacanal-marker-of-a-hostile-object"
_HUGE = 2**62


def result_line() -> int:
    """The descriptor on which the table leaves."""
    return next(each._descriptor for each in gc.get_objects() if type(each).__name__ == "ResultLine")


def reply_line() -> int:
    """The descriptor on which the driver answers."""
    return int(next(each._frames.fileno() for each in gc.get_objects() if type(each).__name__ == "Voice"))


def send(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def say_returned(rows: int = 1, size: int = 8) -> None:
    send(reply_line(), frame(b'{"event": "returned", "rows": %d, "bytes": %d}' % (rows, size)))


def end_with(stream: bytes) -> None:
    """That is the whole table, says the driver, and is silent."""
    line = result_line()
    send(line, stream)
    socket.socket(fileno=os.dup(line)).shutdown(socket.SHUT_RDWR)
    say_returned()
    time.sleep(60)


def stream_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def numbers() -> pa.Table:
    return pa.table({"n": pa.array(range(1000), pa.int32())})


def truncated(ctx: Any) -> None:
    end_with(stream_of(numbers())[:-2000])


def empty(ctx: Any) -> None:
    end_with(b"")


def garbage(ctx: Any) -> None:
    end_with(os.urandom(100_000))


def huge_message(ctx: Any) -> None:
    """The first message says that it has two gigabytes."""
    end_with(b"\xff\xff\xff\xff" + struct.pack("<i", 2**31 - 8) + bytes(1000))


def lying_numbers(ctx: Any) -> None:
    """Every eight bytes of the batch's head that hold a length or an offset hold a lie."""
    stream = bytearray(stream_of(numbers()))
    for true in (1000, 4000, 4032):
        place = stream.find(struct.pack("<q", true))
        while place >= 0:
            stream[place : place + 8] = struct.pack("<q", _HUGE)
            place = stream.find(struct.pack("<q", true), place + 8)
    end_with(bytes(stream))


def lying_offsets(ctx: Any) -> None:
    """Text whose offsets lie far behind its bytes."""
    honest = stream_of(pa.table({"n": ["ab", "cd"]}))
    end_with(honest.replace(struct.pack("<3i", 0, 2, 4), struct.pack("<3i", 0, 2**30, 2**31 - 1)))


def lying_dictionary(ctx: Any) -> None:
    """Indices of words that the dictionary does not have."""
    wild = pa.DictionaryArray.from_arrays(pa.array([0, 2**20], pa.int32()), pa.array(["a"]), safe=False)
    end_with(stream_of(pa.table({"n": wild})))


def lying_compression(ctx: Any) -> None:
    """Buffers that say they become four exabytes."""
    stream = bytearray(stream_of(pa.table({"n": pa.array([7] * 100_000, pa.int32())}), compression="zstd"))
    true = struct.pack("<q", 400_000)
    while (place := stream.find(true)) >= 0:
        stream[place : place + 8] = struct.pack("<q", _HUGE)
    end_with(bytes(stream))


def pickled_type(ctx: Any) -> None:
    """An extension type whose description is a pickle that leaves a marker."""
    described = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": bomb_pickle(),
    }
    field = pa.field("n", pa.int32(), metadata=described)
    end_with(stream_of(pa.table([pa.array([1], pa.int32())], schema=pa.schema([field]))))


def second_stream(ctx: Any) -> None:
    """A good table, and another one after it."""
    end_with(stream_of(pa.table({"n": pa.array([1], pa.int32())})) + stream_of(numbers()))


def endless(ctx: Any) -> None:
    """Slowly, for whoever runs this has other use for the disk."""
    line = result_line()
    send(line, stream_of(numbers())[:-8])
    while True:
        send(line, bytes(2**20))
        time.sleep(0.1)


class Reduced:
    """Runs a command wherever it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch /tmp/{MARKER}",)  # wherever it is


def bomb_pickle() -> bytes:
    return pickle.dumps(Reduced())


def reduced(ctx: Any) -> Any:
    return Reduced()


def reduced_as_reply(ctx: Any) -> None:
    send(reply_line(), frame(bomb_pickle()))
    time.sleep(60)


class Hostile(BaseException):
    """Everything that somebody could ask of it does harm or fails."""

    def __str__(self) -> str:
        os.system(f"touch /tmp/{MARKER}")  # noqa: S605  # wherever it is
        raise KeyboardInterrupt

    __repr__ = __str__

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch /tmp/{MARKER}",)  # wherever it is

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(0)


def hostile_exception(ctx: Any) -> None:
    raise Hostile


def hostile_exception_in_worker(ctx: Any) -> None:
    ctx.client.submit(hostile_exception, None).result()


def deep_exception(ctx: Any) -> None:
    """A traceback without end."""
    cause: BaseException | None = None
    for _ in range(100_000):
        error = ValueError("x" * 100)
        error.__cause__ = cause
        cause = error
    raise ValueError from cause


def returned_nothing(ctx: Any) -> None:
    """Says that it is over before there is a byte."""
    say_returned(rows=2**60, size=2**60)
    time.sleep(60)


def no_json(ctx: Any) -> None:
    send(reply_line(), frame(b"\xff{not json"))
    time.sleep(60)


def large_frame(ctx: Any) -> None:
    """As long as a frame may be."""
    send(reply_line(), frame(b'"' + b"x" * (64 * 2**20 - 2) + b'"'))
    time.sleep(60)


def too_large_frame(ctx: Any) -> None:
    send(reply_line(), struct.pack(">I", 2**32 - 1) + bytes(2**20))
    time.sleep(60)


def cut_frame(ctx: Any) -> None:
    send(reply_line(), struct.pack(">I", 1000) + b'{"event"')
    os._exit(0)


def endless_progress(ctx: Any) -> None:
    line, piece = reply_line(), frame(b'{"event": "progress", "fraction": 0.5}') * 1000
    until = time.monotonic() + 3
    while time.monotonic() < until:
        send(line, piece)
    os._exit(0)


def honest(ctx: Any) -> pa.Table:
    return pa.table({"n": pa.array([42], pa.int32())})
