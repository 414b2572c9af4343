"""Load from its own core: how much a server can (wrk), and how long single requests take (`open_loop`)."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.report import percentile
from tests.benchmarks.serving.asking import Ask
from tests.benchmarks.serving.servers import LOAD_CORE, Server

ABSENT = "wrk is missing; on Debian: apt-get install wrk"
_OPEN_LOOP = Path(__file__).with_name("open_loop.py")
_SCRIPT = Path(__file__).with_name("wrk.lua")
_MOST_PER_S = 4000.0
_TURNS = 4
"""A slow server gets the time to answer every connection so often, or what was asked last would not count."""
_LONGEST_S = 4.0
_PINNED = ["taskset", "--cpu-list", str(LOAD_CORE)]


@dataclass(frozen=True)
class Point:
    """One server under one load; latencies at half of what it can, from the moment a request was due."""

    per_s: float
    bytes_per_s: float
    p50_ms: float
    p99_ms: float


def wrk_is_here() -> bool:
    return shutil.which("wrk") is not None


def measure(server: Server, asks: Sequence[Ask], connections: int, seconds: float) -> Point:
    """Saturation by every other request first, latencies by the rest. Raises `RuntimeError` when a request failed."""
    turns_s = _TURNS * connections * server.ask(asks[0])[0]
    most = _saturate(server, asks[::2], connections, min(max(seconds, turns_s), max(seconds, _LONGEST_S)))
    rate = min(most["requests"] / most["seconds"] / 2, _MOST_PER_S)
    p50_ms, p99_ms = latencies(server, asks[1::2], connections, seconds, rate)
    return Point(most["requests"] / most["seconds"], most["bytes"] / most["seconds"], p50_ms, p99_ms)


def latencies(
    server: Server, asks: Sequence[Ask], connections: int, seconds: float, per_s: float
) -> tuple[float, float]:
    """The median and the 99th percentile in milliseconds at that rate."""
    program = [sys.executable, str(_OPEN_LOOP), str(server.port), str(connections), str(seconds), str(per_s)]
    said = _run(server, asks, [*program, json.dumps(_headers(server, asks)), str(_list(server, asks))])
    took_ms = said["took_ms"]
    return percentile(took_ms, 0.5), percentile(took_ms, 0.99)


def _saturate(server: Server, asks: Sequence[Ask], connections: int, seconds: float) -> dict[str, Any]:
    headers = [word for name, value in _headers(server, asks).items() for word in ("--header", f"{name}: {value}")]
    load = ["--threads", "1", "--connections", str(connections), "--duration", f"{math.ceil(seconds)}s"]
    command = ["wrk", *load, "--timeout", "20s", *headers, "--script", str(_SCRIPT)]
    return _run(server, asks, [*command, f"http://127.0.0.1:{server.port}/", str(_list(server, asks))])


def _run(server: Server, asks: Sequence[Ask], command: list[str]) -> dict[str, Any]:
    done = subprocess.run([*_PINNED, *command], capture_output=True, text=True, check=False)
    figures = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not figures:
        raise RuntimeError(f"no figures for {server.name}: {done.stdout}{done.stderr}")
    said: dict[str, Any] = json.loads(figures[-1])
    if said["failed"] or not said["requests"]:
        raise RuntimeError(f"{said['failed']} of {said['requests']} requests to {server.name} failed: {asks[0].path}")
    return said


def _headers(server: Server, asks: Sequence[Ask]) -> dict[str, str]:
    """What all requests have in common; an ETag is each one's own."""
    common = {**server.headers, **asks[0].headers}
    common.pop("If-None-Match", None)
    return common


def _list(server: Server, asks: Sequence[Ask]) -> Path:
    file = server.folder / "requests.txt"
    file.write_text("".join(f"{ask.path}\t{ask.headers.get('If-None-Match', '')}\n" for ask in asks))
    return file
