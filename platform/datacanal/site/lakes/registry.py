"""All lakes of a site as they are now: listed cheaply, read where something changed, reported whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from datacanal.domain.errors import DatacanalError, DatasetUnreadable, LakeUnreadable
from datacanal.protocol.catalogue import DatasetColumn, DatasetReport, LakeReport, Snapshot
from datacanal.protocol.site import SharedProducts
from datacanal.site.lakes.product_shelf import ProductShelf
from datacanal.site.lakes.reading import LakeUnread
from datacanal.site.lakes.scan import ListedFolder, Listing, list_lake
from datacanal.site.lakes.snapshots import FooterCache, FooterReader, take_snapshot
from datacanal.site.lakes.telling import Telling, unread
from datacanal.site.policy import Policy
from datacanal.site.step_datasets import Shown

SAMPLE_ROWS = 2_000_000
"""Distinct counts are sketched from about so many rows."""


class SnapshotStore(Protocol):
    """Where snapshots and footers outlive the process; `CatalogueStore` is the real one."""

    def save_snapshot(self, snapshot: Snapshot, now_ms: int) -> None: ...

    def snapshot(self, snapshot_id: str) -> Snapshot | None: ...

    def footers(self, lake: str) -> FooterCache: ...

    def save_footers(self, lake: str, new: FooterCache, gone: Sequence[tuple[str, str]]) -> None: ...


class Sketcher(Protocol):
    """Counts distinct values; `LakeReader` does it in a child process."""

    def distinct_counts(
        self, paths: Sequence[str], *, hive: bool, columns: Sequence[str], listed_rows: int, rows: int, sample_rows: int
    ) -> dict[str, int]: ...


@dataclass(frozen=True)
class Lake:
    """`policy` is the one that the site starts with, read from `policy_file`, which is looked at again if given.

    `shelf` is there for the lake of data products, and says what that has.
    """

    name: str
    root: Path
    policy: Policy
    policy_file: Path | None = None
    shelf: ProductShelf | None = None

    def listed(self) -> Listing:
        """What the lake has now. Raises `OSError`."""
        return list_lake(self.root) if self.shelf is None else self.shelf.list(self.root)


@dataclass
class _State:
    """What is known of one lake."""

    listing: Listing = field(default_factory=dict)
    footers: FooterCache = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    problems: dict[str, DatacanalError] = field(default_factory=dict)
    problem: DatacanalError | None = None


class LakeRegistry:
    """Blocking; safe to call from several threads."""

    def __init__(
        self,
        lakes: Sequence[Lake],
        reader: FooterReader,
        store: SnapshotStore,
        telling: Telling,
        clock: Callable[[], datetime],
    ) -> None:
        self._lakes = {lake.name: lake for lake in lakes}
        self._states = {lake.name: _State(footers=store.footers(lake.name)) for lake in lakes}
        self._reader = reader
        self._store = store
        self._telling = telling
        self._clock = clock
        self._due: list[Snapshot] = []
        self._lock = threading.Lock()

    @property
    def roots(self) -> Mapping[str, Path]:
        """The directory of each lake."""
        return {lake.name: lake.root for lake in self._lakes.values()}

    def refresh(self, lake: str | None = None, *, again: bool = False) -> bool:
        """List the lakes (or one), read what changed and, with `again`, what was broken; say whether anything did."""
        with self._lock:
            names = list(self._lakes) if lake is None else [lake] if lake in self._lakes else []
            changed = [self._refresh(self._lakes[name], self._states[name], again) for name in names]
            return any(changed)

    def share(self, lake: str, told: SharedProducts, put_in_force: Callable[[Policy], object]) -> bool:
        """Make the lake of data products what was told; True where that changes something."""
        shelf = self._lakes[lake].shelf
        return shelf is not None and shelf.take(told, put_in_force, lambda: self.refresh(lake))

    @property
    def product_lake(self) -> str | None:
        """The lake of data products, if the site has it."""
        return next((lake.name for lake in self._lakes.values() if lake.shelf is not None), None)

    def reload_policies(self) -> bool:
        """Look at the policy files again; True where what is told changes. Waits for no listing."""
        return self._telling.reload()

    def reports(self) -> tuple[list[LakeReport], list[DatasetReport]]:
        """What the control plane is told."""
        with self._lock:
            lakes = [self._telling.lake(lake, state.listing, state.problem) for lake, state in self._states.items()]
            listed = [(lake, name, state) for lake, state in self._states.items() for name in state.listing]
            return lakes, [self._dataset_report(lake, name, state) for lake, name, state in listed]

    def shown(self, policy: Policy, snapshot: Snapshot) -> Shown:
        """What steps see of a dataset under the policy. Raises `DatasetUnreadable` where the two do not fit."""
        with self._lock:
            listed = list(self._states[snapshot.lake].listing)
        return self._telling.shown(policy, snapshot, listed)

    def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """The snapshot of that id, current or replaced a while ago."""
        with self._lock:
            for state in self._states.values():
                for snapshot in state.snapshots.values():
                    if snapshot.id == snapshot_id:
                        return snapshot
        return self._store.snapshot(snapshot_id)

    def current(self) -> list[str]:
        """The ids of the snapshots that are current."""
        with self._lock:
            return [snapshot.id for state in self._states.values() for snapshot in state.snapshots.values()]

    def sketch_one(self, sketcher: Sketcher) -> bool:
        """Count the distinct values of one dataset whose counts are due; False when none is."""
        with self._lock:
            if not self._due:
                return False
            due = self._due.pop(0)
        try:
            counted = _with_counts(due, self._count(due, sketcher))
        except LakeUnread:  # a file changed meanwhile: the next listing makes a new snapshot
            return True
        with self._lock:
            snapshots = self._states[due.lake].snapshots
            current = snapshots.get(due.dataset)
            if current is None or current.id != due.id:
                return True
            snapshots[due.dataset] = counted
        self._store.save_snapshot(counted, self._now_ms())
        return True

    def _count(self, snapshot: Snapshot, sketcher: Sketcher) -> dict[str, int]:
        root = self._lakes[snapshot.lake].root
        rows = sum(file.rows for file in snapshot.files)
        if rows == 0:
            return {column.name: 0 for column in snapshot.columns}
        spread = max(1, rows // SAMPLE_ROWS)
        chosen = snapshot.files[:: min(spread, len(snapshot.files))]
        names = [column.name for column in snapshot.columns if not column.partition]
        return sketcher.distinct_counts(
            [str(root / file.path) for file in chosen],
            hive=bool(snapshot.files[0].partition),
            columns=names,
            listed_rows=sum(file.rows for file in chosen),
            rows=rows,
            sample_rows=SAMPLE_ROWS,
        )

    def _refresh(self, lake: Lake, state: _State, again: bool) -> bool:
        try:
            listing = lake.listed()
        except OSError as error:
            return self._lost(lake, state, error)
        changed = state.problem is not None
        state.problem = None
        for name in [name for name in state.listing if name not in listing]:
            state.snapshots.pop(name, None)
            state.problems.pop(name, None)
            changed = True
        for name, folder in listing.items():
            if state.listing.get(name) != folder or (again and name in state.problems):
                changed = self._read(lake, state, name, folder) or changed
        state.listing = listing
        return changed

    def _lost(self, lake: Lake, state: _State, error: OSError) -> bool:
        problem = LakeUnreadable(lake=lake.name, url=lake.root.as_uri(), reason=error.strerror or str(error))
        known = state.problem is not None and state.problem.detail == problem.detail
        state.problem = problem
        state.listing, state.snapshots, state.problems = {}, {}, {}
        return not known

    def _read(self, lake: Lake, state: _State, name: str, folder: ListedFolder) -> bool:
        """Take the dataset's snapshot; False when it is as broken as it was."""
        known = set(state.footers)
        try:
            snapshot = self._taken(lake, state, name, folder)
        except DatasetUnreadable as error:
            before = state.problems.get(name)
            state.problems[name] = error
            state.snapshots.pop(name, None)
            return before is None or before.detail != error.detail
        finally:
            self._keep_footers(lake, state, name, folder, known)
        state.problems.pop(name, None)
        stored = self._store.snapshot(snapshot.id)
        if stored is None or stored.files != snapshot.files or not _is_counted(stored):
            stored = _carried(snapshot, state.snapshots.get(name))
            self._due = [due for due in self._due if (due.lake, due.dataset) != (lake.name, name)] + [snapshot]
        state.snapshots[name] = stored
        self._store.save_snapshot(stored, self._now_ms())
        return True

    def _taken(self, lake: Lake, state: _State, name: str, folder: ListedFolder) -> Snapshot:
        if folder.problem:
            raise DatasetUnreadable(dataset=f"{lake.name}.{name}", reason=folder.problem)
        taken = take_snapshot(lake.root, lake.name, name, folder.files, self._reader, state.footers)
        return taken.model_copy(update={"id": folder.snapshot}) if folder.snapshot else taken

    def _keep_footers(
        self, lake: Lake, state: _State, name: str, folder: ListedFolder, known: set[tuple[str, str]]
    ) -> None:
        now = {(file.path, file.etag) for file in folder.files}
        new = {key: footer for key, footer in state.footers.items() if key not in known}
        gone = [key for key in state.footers if key[0].startswith(f"{name}/") and key not in now]
        for key in gone:
            del state.footers[key]
        if new or gone:
            self._store.save_footers(lake.name, new, gone)

    def _dataset_report(self, lake: str, name: str, state: _State) -> DatasetReport:
        snapshot = state.snapshots.get(name)
        if snapshot is None:
            return unread(lake, name, state.problems[name])
        return self._telling.dataset(snapshot, state.listing)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


def _is_counted(snapshot: Snapshot) -> bool:
    known = [column.statistics for column in snapshot.columns if not column.partition]
    return all(statistics is not None and statistics.distinct_count is not None for statistics in known)


def _with_counts(snapshot: Snapshot, counts: Mapping[str, int]) -> Snapshot:
    return snapshot.model_copy(update={"columns": [_counted(column, counts) for column in snapshot.columns]})


def _counted(column: DatasetColumn, counts: Mapping[str, int]) -> DatasetColumn:
    if column.statistics is None or column.name not in counts:
        return column
    statistics = column.statistics.model_copy(update={"distinct_count": counts[column.name]})
    return column.model_copy(update={"statistics": statistics})


def _carried(snapshot: Snapshot, before: Snapshot | None) -> Snapshot:
    """Until it is sketched itself, a small change of a dataset keeps the counts it had."""
    if before is None:
        return snapshot
    counts = {
        column.name: column.statistics.distinct_count
        for column in before.columns
        if column.statistics is not None and column.statistics.distinct_count is not None and not column.partition
    }
    return _with_counts(snapshot, counts)
