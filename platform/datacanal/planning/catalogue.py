"""The catalogue as planning sees it: a frozen value of datasets, their sites and what is known of their content."""

from __future__ import annotations

from dataclasses import dataclass, field

from datacanal.protocol.catalogue import DatasetColumn, PythonAccess

STEP_LAKE = "step"
"""The lake of what steps give; no lake can be called that."""


@dataclass(frozen=True)
class CataloguedDataset:
    """A dataset at the snapshot that a job would pin.

    `problem` says, in words, why it cannot be read, `closed` why the submitter may not.
    """

    lake: str
    name: str
    site: str
    snapshot: str
    rows: int
    bytes: int
    columns: tuple[DatasetColumn, ...]
    problem: str | None = None
    closed: str | None = None
    python: PythonAccess = "allowed"

    @property
    def is_output(self) -> bool:
        """Whether it is what a step gives."""
        return self.lake == STEP_LAKE

    @property
    def qualified_name(self) -> str:
        """`lake.name`."""
        return f"{self.lake}.{self.name}"


@dataclass(frozen=True)
class Catalogue:
    """All datasets that the submitter may name, and the sites that are connected now."""

    datasets: tuple[CataloguedDataset, ...] = ()
    connected: frozenset[str] = field(default_factory=frozenset)
    principal: str = ""

    def in_lake(self, lake: str, name: str) -> CataloguedDataset | None:
        """The dataset of that name in that lake; letters' case does not matter, as in DuckDB."""
        wanted = (lake.lower(), name.lower())
        return next((d for d in self.datasets if (d.lake.lower(), d.name.lower()) == wanted), None)

    def named(self, name: str) -> list[CataloguedDataset]:
        """The datasets of that name in any lake."""
        return [dataset for dataset in self.datasets if dataset.name.lower() == name.lower()]
