"""What a job's driver is told, and what it tells: JSON both ways. Its table leaves over a connection of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from datacanal.protocol.base import Document
from datacanal.protocol.plan import PlanColumn, PythonCode
from datacanal.site.engine.giving_up import Why

STAGE = "/stage"
"""Where driver and workers find the tables that the job was given."""


class GivenTable(Document):
    """A table by the name that the function knows it by. `files` are paths below the stage.

    `parquet` files have their partition columns in their paths (hive layout, types in `partitions`); `arrow` is one
    Arrow IPC stream.
    """

    kind: Literal["dataset", "input"]
    name: str
    format: Literal["parquet", "arrow"]
    files: list[str]
    columns: list[PlanColumn]
    partitions: dict[str, str] = Field(default_factory=dict)


class PythonTask(Document):
    """One run of a function. `columns` is the contract: names and DuckDB types of the table that it must return."""

    job: str
    code: PythonCode
    params: dict[str, JsonValue]
    given: list[GivenTable]
    columns: dict[str, str]
    scheduler: str = Field(description="address of the job's own Dask scheduler")
    workers: int = Field(description="how many workers the job asked for; some may still be joining")


class DriverReady(Document):
    """From a driver that has loaded its libraries and can be given a task."""

    event: Literal["ready"] = "ready"


class UserCodeBegins(Document):
    """The next line is the function's own."""

    event: Literal["begins"] = "begins"


class Progress(Document):
    event: Literal["progress"] = "progress"
    fraction: float = Field(ge=0, le=1)


class Returned(Document):
    """The table is out: `rows` and `bytes` as the driver counted them. Whoever reads it counts again."""

    event: Literal["returned"] = "returned"
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)


class GaveUp(Document):
    """Why there is no table. A closed list: the words belong to whoever may read the data."""

    event: Literal["gave_up"] = "gave_up"
    why: Why


DriverEvent = Annotated[DriverReady | UserCodeBegins | Progress | Returned | GaveUp, Field(discriminator="event")]
DRIVER_EVENT: TypeAdapter[DriverReady | UserCodeBegins | Progress | Returned | GaveUp] = TypeAdapter(DriverEvent)
