"""Whose name is it: a common table expression's or a dataset's. Datasets get an occurrence each and their full name.

`resolve` renames the tables of a statement's tree to `occN.lake.dataset`, in place. Names of common table expressions
follow DuckDB's scopes: one sees those written before it in its WITH and in enclosing ones; a recursive one sees itself
in its second branch only; names with a dot are never theirs, but for `recurring.name`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from datacanal.configuration import PRODUCTS
from datacanal.domain.errors import (
    AmbiguousDataset,
    ConstructNotAllowed,
    DatasetNotFound,
    DatasetUnreadable,
    NotAReader,
    StatementError,
)
from datacanal.planning.binding import Tree
from datacanal.planning.catalogue import Catalogue, CataloguedDataset

_RECURRING = "recurring"
_PARTS_OF_A_PRODUCT = 3
_FILE_SIGNS = ("/", "\\", ".parquet", ".csv", ".json", ".db", ".duckdb", "*", "://")


@dataclass(frozen=True)
class Occurrence:
    """One use of a dataset in the statement. Two unaliased uses in one FROM are one occurrence, as in DuckDB."""

    name: str
    dataset: CataloguedDataset


@dataclass
class TableReference:
    """A table reference that is not a common table expression's. `from_scope` is one object per FROM clause."""

    node: dict[str, Any]
    from_scope: object

    @property
    def path(self) -> list[str]:
        """The parts of the name as written."""
        return [str(part) for part in self.node["qualified_name"]["path"]]


@dataclass(frozen=True)
class _Scope:
    tables: frozenset[str] = frozenset()
    recursive: frozenset[str] = frozenset()
    from_clause: object = field(default_factory=object)

    def with_table(self, name: str) -> _Scope:
        return _Scope(self.tables | {name.lower()}, self.recursive, self.from_clause)

    def with_recursive(self, name: str) -> _Scope:
        return _Scope(self.tables | {name.lower()}, self.recursive | {name.lower()}, self.from_clause)

    def fresh_from(self) -> _Scope:
        return _Scope(self.tables, self.recursive)

    def holds(self, path: list[str]) -> bool:
        if len(path) == 1:
            return path[0].lower() in self.tables
        return len(path) == 2 and path[0].lower() == _RECURRING and path[1].lower() in self.recursive


def resolve(tree: Tree, catalogue: Catalogue) -> list[Occurrence]:
    """Rename every dataset reference of the tree and list the occurrences in the order of the text.

    Raises `DatasetNotFound`, `AmbiguousDataset`, `DatasetUnreadable`, `NotAReader` or `ConstructNotAllowed`.
    """
    occurrences: dict[object, Occurrence] = {}
    references = sorted(table_references(tree), key=lambda reference: int(reference.node.get("query_location", 0)))
    for reference in references:
        dataset = _dataset(reference.path, catalogue)
        shared = not reference.node.get("alias")
        key = (id(reference.from_scope), dataset.qualified_name) if shared else id(reference)
        if key not in occurrences:
            occurrences[key] = Occurrence(f"occ{len(occurrences)}", dataset)
        _rename(reference.node, occurrences[key])
    return list(occurrences.values())


def check_inputs(tree: Tree, inputs: Collection[tuple[str, str, str]]) -> None:
    """Refuse a tree that names any table but those inputs, each `(occurrence, lake, dataset)`, and its own WITH names.

    A site applies this to the steps that it is given. Raises `DatasetNotFound`.
    """
    for reference in table_references(tree):
        if tuple(reference.path) not in inputs:
            raise DatasetNotFound(name=".".join(reference.path), hint="The step names a table that is not its input.")


def table_references(tree: Tree) -> Iterator[TableReference]:
    """Every reference to something that is not a common table expression. Iterative: depth is no danger."""
    stack: list[tuple[Any, _Scope]] = [(tree.get("statements"), _Scope())]
    while stack:
        value, scope = stack.pop()
        if isinstance(value, list):
            stack.extend((item, scope) for item in value)
        elif isinstance(value, dict):
            kind = str(value.get("type"))
            if kind == "BASE_TABLE":
                reference = TableReference(value, scope.from_clause)
                if not scope.holds(reference.path):
                    yield reference
            stack.extend(_children(value, kind, scope))


def _children(node: dict[str, Any], kind: str, scope: _Scope) -> Iterator[tuple[Any, _Scope]]:
    if not kind.endswith("_NODE"):
        yield from ((child, scope) for child in node.values())
        return
    scope = scope.fresh_from()
    for entry in (node.get("cte_map") or {}).get("map") or []:
        yield entry["value"], scope
        scope = scope.with_table(str(entry["key"]))
    for key, child in node.items():
        if key == "right" and kind == "RECURSIVE_CTE_NODE":
            yield child, scope.with_recursive(str(node["cte_name"]))
        elif key != "cte_map":
            yield child, scope


def _dataset(path: list[str], catalogue: Catalogue) -> CataloguedDataset:
    finders: dict[int, Callable[..., CataloguedDataset]] = {1: _bare, 2: _qualified, 3: _product}
    if len(path) not in finders or (len(path) == _PARTS_OF_A_PRODUCT and path[0].lower() != PRODUCTS):
        hint = "Write lake.dataset, or products.publisher.name."
        raise ConstructNotAllowed(construct=f"The table name {'.'.join(path)}", hint=hint)
    dataset = finders[len(path)](catalogue, *path)
    if dataset.problem is not None:
        raise DatasetUnreadable(dataset=dataset.qualified_name, reason=dataset.problem)
    if dataset.closed is not None:
        raise NotAReader(principal=catalogue.principal, dataset=dataset.qualified_name, reason=dataset.closed)
    return dataset


def _bare(catalogue: Catalogue, name: str) -> CataloguedDataset:
    found = catalogue.named(name)
    if not found:
        raise _not_found(name, catalogue)
    if len(found) > 1:
        candidates = sorted(dataset.qualified_name for dataset in found)
        raise AmbiguousDataset(name=name, candidates=", ".join(candidates))
    return found[0]


def _qualified(catalogue: Catalogue, lake: str, name: str) -> CataloguedDataset:
    found = catalogue.in_lake(lake, name)
    if found is None:
        raise _not_found(f"{lake}.{name}", catalogue)
    return found


def _product(catalogue: Catalogue, lake: str, publisher: str, name: str) -> CataloguedDataset:
    return _qualified(catalogue, lake, f"{publisher}.{name}")


def _not_found(name: str, catalogue: Catalogue) -> StatementError:
    if any(sign in name.lower() for sign in _FILE_SIGNS):
        return DatasetNotFound(name=name, hint="Files cannot be read by name; ask a catalogued dataset, lake.dataset.")
    return DatasetNotFound(name=name, hint=_near_hint(name, catalogue))


def _near_hint(name: str, catalogue: Catalogue) -> str:
    spellings = {dataset.qualified_name.lower(): dataset.qualified_name for dataset in catalogue.datasets}
    bare = {dataset.name.lower(): dataset.qualified_name for dataset in catalogue.datasets}
    last = name.rpartition(".")[2].lower()
    near = [bare[key] for key in difflib.get_close_matches(last, bare, n=3, cutoff=0.7)]
    near += [spellings[key] for key in difflib.get_close_matches(name.lower(), spellings, n=3, cutoff=0.8)]
    unique = list(dict.fromkeys(near))[:3]
    return f"Did you mean {', '.join(unique)}?" if unique else "`datacanal dataset list` shows the datasets."


def _rename(node: dict[str, Any], occurrence: Occurrence) -> None:
    dataset = occurrence.dataset
    written = node["qualified_name"]["path"]
    if len(written) == _PARTS_OF_A_PRODUCT and not node.get("alias"):
        node["alias"] = written[-1]  # what columns of `products.publisher.name` are written with
    node["catalog_name"], node["schema_name"], node["table_name"] = occurrence.name, dataset.lake, dataset.name
    node["qualified_name"] = {"path": [occurrence.name, dataset.lake, dataset.name]}
