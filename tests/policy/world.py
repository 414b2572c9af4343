"""Two lakes at two sites under restrictive policies: what the battery of statements is asked of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datacanal.planning.binding import BindRequest, BoundTable, NamedType, Question
from datacanal.planning.catalogue import Catalogue, CataloguedDataset
from datacanal.planning.duckdb_binder import DuckDBBinder
from datacanal.planning.gate import check_text, check_tree
from datacanal.planning.lineage import Relation, TracedTable, check_leaving, output_labels, trace
from datacanal.planning.names import resolve
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.labels import Label, Origin, Owner, PolicyClass
from datacanal.protocol.plan import PlanColumn

NOW = "2026-03-04T05:06:07+00:00"

_PUBLIC: tuple[PolicyClass, dict[str, Any]] = ("public", {})
_SECRET: tuple[PolicyClass, dict[str, Any]] = ("secret", {})
_KEY: tuple[PolicyClass, dict[str, Any]] = ("join_key", {})
_MASKED: tuple[PolicyClass, dict[str, Any]] = ("masked", {})


def _aggregate(entity: str, min_group: int, *buckets: str) -> tuple[PolicyClass, dict[str, Any]]:
    return "aggregate", {"entity": entity, "min_group": min_group, "max_share": 0.5, "buckets": list(buckets)}


_Columns = Sequence[tuple[str, str, tuple[PolicyClass, dict[str, Any]]]]
_DATASETS: Mapping[tuple[str, str], _Columns] = {
    ("bank", "payments"): [
        ("payment_id", "INTEGER", _PUBLIC),
        ("account_id", "INTEGER", _KEY),
        ("amount", "DECIMAL(12,2)", _aggregate("account_id", 10, "0", "1000", "10000")),
        ("memo", "VARCHAR", _SECRET),
        ("booked_at", "BIGINT", _MASKED),
        ("channel", "VARCHAR", _PUBLIC),
        ("tags", "VARCHAR[]", _SECRET),
        ("score", "INTEGER", _SECRET),
        ("settled", "BOOLEAN", _PUBLIC),
    ],
    ("bank", "accounts"): [
        ("account_id", "BIGINT", _KEY),
        ("branch", "VARCHAR", _PUBLIC),
        ("balance", "DOUBLE", _aggregate("account_id", 5)),
        ("opened", "DATE", _PUBLIC),
    ],
    ("crm", "people"): [
        ("account_id", "INTEGER", _KEY),
        ("name", "VARCHAR", _SECRET),
        ("born", "BIGINT", _MASKED),
        ("district", "VARCHAR", _PUBLIC),
        ("income", "INTEGER", _aggregate("account_id", 5, "20000", "50000")),
        ("joined_on", "DATE", _aggregate("account_id", 5, "DATE '2020-01-01'")),
        ("profile", "STRUCT(city VARCHAR, age INTEGER)", _SECRET),
        ("tier", "VARCHAR", _PUBLIC),
    ],
    ("crm", "rates"): [
        ("district", "VARCHAR", _PUBLIC),
        ("rate", "DOUBLE", _PUBLIC),
        ("valid_from", "DATE", _PUBLIC),
    ],
}
_SITES = {"bank": "core", "crm": "edge"}


def catalogue() -> Catalogue:
    """The datasets as their sites report them."""
    datasets = [
        CataloguedDataset(
            lake=lake,
            name=name,
            site=_SITES[lake],
            snapshot=f"snp_{name}",
            rows=1000,
            bytes=100_000,
            columns=tuple(_column(lake, name, *column) for column in columns),
        )
        for (lake, name), columns in _DATASETS.items()
    ]
    return Catalogue(tuple(datasets), frozenset(_SITES.values()))


def _column(lake: str, dataset: str, name: str, kind: str, rule: tuple[PolicyClass, dict[str, Any]]) -> DatasetColumn:
    policy_class, demands = rule
    governed = policy_class not in ("public", "masked")
    origin = Origin(lake=lake, dataset=dataset, column=name, policy_class=policy_class, **demands)
    label = Label(
        policy_class=policy_class,
        owners=[Owner(lake=lake, dataset=dataset, policy=f"policy of {lake}")],
        origins=[origin] if governed else [],
    )
    return DatasetColumn(name=name, type=kind, label=label)


class World:
    """The catalogue, a binder, and lineage alone over both: no planning, one place that sees everything."""

    def __init__(self) -> None:
        self.catalogue = catalogue()
        self.binder = DuckDBBinder()

    def close(self) -> None:
        """End the binder."""
        self.binder.close()

    def relation(self, sql: str, params: Mapping[str, Any] | None = None) -> tuple[Relation, list[str]]:
        """The traced statement and the names of its columns."""
        check_text(sql)
        tree = self.binder.parse(sql)
        check_tree(tree, sql)
        occurrences = resolve(tree, self.catalogue)
        question = Question(sql=self.binder.print_checked(tree), params=dict(params or {}), lineage=True)
        tables = [_bound(each.name, each.dataset) for each in occurrences]
        [binding] = self.binder.bind(BindRequest(tables=tables, questions=[question], now=NOW, prefix="c"))
        traced = {
            each.name: TracedTable(each.dataset.lake, each.dataset.name, _plain(each.dataset)) for each in occurrences
        }
        relation = trace(binding.bound, traced, len(binding.columns))
        return relation, [column.name for column in binding.columns]

    def release(self, sql: str, params: Mapping[str, Any] | None = None, *, transfer: bool = False) -> list[Label]:
        """The labels of a result, or of a transfer, that may leave. Raises `PolicyRefused` where it may not."""
        relation, names = self.relation(sql, params)
        labels = output_labels(relation)
        check_leaving(labels, names, relation.reasons, inside_transfer=transfer)
        return labels


def _bound(occurrence: str, dataset: CataloguedDataset) -> BoundTable:
    columns = [NamedType(name=column.name, type=column.type) for column in dataset.columns]
    return BoundTable(occurrence=occurrence, lake=dataset.lake, dataset=dataset.name, columns=columns)


def _plain(dataset: CataloguedDataset) -> list[PlanColumn]:
    return [PlanColumn(name=column.name, type=column.type, label=column.label) for column in dataset.columns]
