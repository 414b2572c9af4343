"""`datacanal site …`, `datacanal lake …` and `datacanal dataset …`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

import typer

from datacanal.cli import identity, importing, records
from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.cli.text import bytes_text, visible
from datacanal.domain.errors import NotFound
from datacanal.protocol.catalogue import DatasetColumn
from datacanal.protocol.problem import Problem
from datacanal.protocol.public import DatasetView, LakeView, SiteView

Name = Annotated[str, typer.Argument(metavar="NAME")]
DatasetName = Annotated[str, typer.Argument(metavar="LAKE.NAME")]
_Named = TypeVar("_Named", SiteView, LakeView)


def add_to(app: typer.Typer) -> None:
    """The three groups."""
    site = _group(app, "site", "The sites and whether they are connected.")
    site.command("list")(list_sites)
    site.command("show")(show_site)
    site.command("refresh")(refresh_site)
    identity.add_to(site)
    records.add_to(site)
    lake = _group(app, "lake", "The lakes of all sites.")
    lake.command("list")(list_lakes)
    lake.command("show")(show_lake)
    lake.command("refresh")(refresh_lake)
    dataset = _group(app, "dataset", "The datasets of all lakes.")
    dataset.command("list")(list_datasets)
    dataset.command("show")(show_dataset)
    dataset.command("refresh")(refresh_dataset)
    importing.add_to(dataset)


def _group(app: typer.Typer, name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True)
    app.add_typer(group, name=name)
    return group


def list_sites(as_json: AsJson = False) -> None:
    """All sites."""
    with connect() as client:
        _put_sites(client.sites(), as_json)


def show_site(name: Name, as_json: AsJson = False) -> None:
    """One site."""
    with connect() as client:
        found = _named(client.sites(), "site", name)
    if as_json:
        print_json(found)
    else:
        _put_sites([found], as_json)


def refresh_site(name: Name) -> None:
    """Have a site list the files of all its lakes again."""
    with connect() as client:
        for lake in _named(client.sites(), "site", name).lakes:
            client.refresh_lake(lake)


def list_lakes(as_json: AsJson = False) -> None:
    """All lakes."""
    with connect() as client:
        _put_lakes(client.lakes(), as_json)


def show_lake(name: Name, as_json: AsJson = False) -> None:
    """One lake and its datasets."""
    with connect() as client:
        found = _named(client.lakes(), "lake", name)
        datasets = [dataset for dataset in client.datasets() if dataset.lake == name]
    if as_json:
        print_json(found)
        return
    _put_lakes([found], as_json)
    print()
    _put_datasets(datasets, as_json)


def refresh_lake(name: Name) -> None:
    """Have a lake's site list its files again, so that new ones are seen now."""
    with connect() as client:
        client.refresh_lake(name)


def list_datasets(as_json: AsJson = False) -> None:
    """All datasets."""
    with connect() as client:
        _put_datasets(client.datasets(), as_json)


def show_dataset(name: DatasetName, as_json: AsJson = False) -> None:
    """One dataset and its columns."""
    with connect() as client:
        found = client.dataset(name)
    if as_json:
        print_json(found)
        return
    _put_datasets([found], as_json)
    print()
    print_table(
        ["column", "type", "policy", "nulls", "distinct", "smallest", "largest"],
        [_column_row(found, position) for position in range(len(found.columns))],
        right=[False, False, False, True, True],
    )


def refresh_dataset(name: DatasetName) -> None:
    """Have the dataset's site list the files of its lake again."""
    with connect() as client:
        client.refresh_lake(client.dataset(name).lake)


def _put_sites(sites: Sequence[SiteView], as_json: bool) -> None:
    if as_json:
        print_json(sites)
        return
    rows = [
        [
            site.name, "yes" if site.connected else "no", f"{site.seen_at:%Y-%m-%d %H:%M:%S}" if site.seen_at else "",
            str(site.slots), ", ".join(site.lakes), site.waits or "",
        ]
        for site in sites
    ]  # fmt: skip
    print_table(["site", "connected", "last seen", "slots", "lakes", "waits"], rows)


def _put_lakes(lakes: Sequence[LakeView], as_json: bool) -> None:
    if as_json:
        print_json(lakes)
        return
    rows = [[lake.name, lake.site, str(lake.datasets), lake.policy_digest[:19], _told(lake.problem)] for lake in lakes]
    print_table(["lake", "site", "datasets", "policy", "problem"], rows, right=[False, False, True])


def _put_datasets(datasets: Sequence[DatasetView], as_json: bool) -> None:
    if as_json:
        print_json(datasets)
        return
    rows = [
        [
            f"{found.lake}.{found.name}", found.site, f"{found.rows:,}", str(found.files), bytes_text(found.bytes),
            str(len(found.columns)), ", ".join(found.key), _told(found.problem),
        ]
        for found in datasets
    ]  # fmt: skip
    names = ["dataset", "site", "rows", "files", "size", "columns", "key", "problem"]
    print_table(names, rows, right=[False, False, True, True, True, True])


def _column_row(dataset: DatasetView, position: int) -> list[str]:
    column = dataset.columns[position]
    known = column.statistics
    counts = (known.null_count, known.distinct_count) if known else (None, None)
    limits = (known.min, known.max) if known else (None, None)
    name = f"{column.name} (partition)" if column.partition else column.name
    told = [name, column.type, _policy_text(column)]
    return [*told, *("" if n is None else f"{n:,}" for n in counts), *(text or "" for text in limits)]


def _policy_text(column: DatasetColumn) -> str:
    """What the owner's policy makes of a column; nothing where it is public."""
    match column.label.policy_class:
        case "public":
            return ""
        case "masked":
            return f"masked {column.mask}"
        case "aggregate":
            return f"aggregate ≥ {max(origin.min_group or 0 for origin in column.label.origins)}"
        case other:
            return other


def _named(found: Sequence[_Named], what: str, name: str) -> _Named:
    for item in found:
        if item.name == name:
            return item
    raise NotFound(what=what, name=name)


def _told(problem: Problem | None) -> str:
    return visible(f"{problem.code}: {problem.detail}") if problem else ""
