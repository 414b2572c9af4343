"""Frames between the agent and its pool's runner."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from datacanal.protocol.base import Document
from datacanal.site.engine.specification import Task, TaskOutcome


class RunRequest(Document):
    op: Literal["run"] = "run"
    task: Task


class KillRequest(Document):
    op: Literal["kill"] = "kill"
    task_id: str


class WorkerJoined(Document):
    """A worker can be given tasks."""

    op: Literal["joined"] = "joined"
    name: str
    address: str


class WorkerLeft(Document):
    """A worker died, and with it what it ran."""

    op: Literal["left"] = "left"
    name: str


class StatusRequest(Document):
    """Asks how the workers are; the answer carries the same number."""

    op: Literal["status"] = "status"
    number: int


Request = Annotated[RunRequest | KillRequest | WorkerJoined | WorkerLeft | StatusRequest, Field(discriminator="op")]


class RunReply(Document):
    op: Literal["run"] = "run"
    task_id: str
    outcome: TaskOutcome


class StatusReply(Document):
    op: Literal["status"] = "status"
    number: int
    kernel_pids: list[int]
    silent: list[str] = Field(description="workers that did not answer in time")


Reply = Annotated[RunReply | StatusReply, Field(discriminator="op")]

REQUEST: TypeAdapter[RunRequest | KillRequest | WorkerJoined | WorkerLeft | StatusRequest] = TypeAdapter(Request)
REPLY: TypeAdapter[RunReply | StatusReply] = TypeAdapter(Reply)
