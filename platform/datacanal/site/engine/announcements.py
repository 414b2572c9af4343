"""What a pool's process tells its parent, and is told by it, before it serves."""

from __future__ import annotations

import sys
from typing import BinaryIO

from datacanal.frames import read_frame, write_frame
from datacanal.protocol.base import Document


class SchedulerAddress(Document):
    """From the scheduler to its parent, and from there to the workers and the runner."""

    address: str


class WorkerAddress(Document):
    """From a worker to its parent: it has joined the scheduler, under this address."""

    address: str


class RunnerReady(Document):
    """From the runner to its parent: it can be asked."""


def scheduler_address() -> str | None:
    """Wait for the parent to tell where the scheduler listens; None where the parent is gone."""
    frame = read_frame(sys.stdin.buffer)
    return None if frame is None else SchedulerAddress.model_validate_json(frame).address


def announce(stream: BinaryIO, document: Document) -> None:
    """Tell the parent."""
    write_frame(stream, document.model_dump_json().encode())
