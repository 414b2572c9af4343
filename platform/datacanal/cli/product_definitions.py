"""`datacanal product create|update`: what a product is and what it promises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from datacanal.cli.product_text import print_product
from datacanal.cli.session import AsJson, connect, print_json
from datacanal.client.requests import checked
from datacanal.domain.errors import BadField
from datacanal.protocol.products import ProductRequest, ProductUpdate, ProductView

Name = Annotated[str, typer.Argument(metavar="PRODUCT", help="publisher.product")]
_KEY = typer.Option("--key", help="The columns that name a row, separated by commas.")
_TITLE = typer.Option("--title", help="For the catalogue; else the name.")
_DESCRIPTION = typer.Option("--description", metavar="FILE.md", help="In Markdown.")
_SESSION = typer.Option("--session", help="The column of dates that rows come in by.")
_CALENDAR = typer.Option("--calendar", help="Whose sessions are expected: XSHG, XNYS …")
_DRIFT = typer.Option("--drift", min=0, help="How far the row count may be off, as a share.")
_FRESH = typer.Option("--fresh", min=0, help="Sessions (else days) that the newest may be old.")
_NOT_NULL = typer.Option("--not-null", help="A column without nulls; repeatable.")
_VISIBILITY = typer.Option("--visibility", help="private, listed or internal.")
_READER = typer.Option("--reader", help="group:NAME or principal:NAME; repeatable.")
_SAMPLE_ROWS = typer.Option("--sample-rows", min=0, help="Rows that show what it is like.")
_KEEP = typer.Option("--keep", min=2, help="Versions that stay beside the channels'.")
_DESCRIPTION_BYTES = 64 * 2**10


def add_to(group: typer.Typer) -> None:
    """The commands."""
    group.command("create")(create)
    group.command("update")(update)


def create(
    name: Name,
    key: Annotated[str, _KEY],
    title: Annotated[str | None, _TITLE] = None,
    description: Annotated[Path | None, _DESCRIPTION] = None,
    session: Annotated[str | None, _SESSION] = None,
    calendar: Annotated[str | None, _CALENDAR] = None,
    drift: Annotated[float, _DRIFT] = 0.3,
    fresh: Annotated[int | None, _FRESH] = None,
    not_null: Annotated[list[str] | None, _NOT_NULL] = None,
    visibility: Annotated[str, _VISIBILITY] = "private",
    reader: Annotated[list[str] | None, _READER] = None,
    sample_rows: Annotated[int, _SAMPLE_ROWS] = 10,
    open_sample: Annotated[bool, typer.Option("--open-sample", help="The sample needs no token.")] = False,
    keep: Annotated[int, _KEEP] = 10,
    as_json: AsJson = False,
) -> None:
    """A new product, without a version yet."""
    contract = {
        "key": _listed(key),
        "not_null": not_null or [],
        "session": session,
        "calendar": calendar,
        "drift": drift,
        "freshness": _freshness(fresh),
    }
    request = checked(
        ProductRequest,
        name=name,
        title=title or name,
        description="" if description is None else _text_of(description),
        contract=contract,
        visibility=visibility,
        readers=reader or [],
        sample={"rows": sample_rows, "open": open_sample},
        keep=keep,
    )
    with connect() as client:
        made = client.products.create(request)
    if as_json:
        print_json(made)
        return
    print(f"{made.name} has no version yet: `datacanal product publish {made.name} --job JOB` makes one")


def update(
    name: Name,
    key: Annotated[str | None, _KEY] = None,
    title: Annotated[str | None, typer.Option("--title", help="For the catalogue.")] = None,
    description: Annotated[Path | None, _DESCRIPTION] = None,
    session: Annotated[str | None, _SESSION] = None,
    calendar: Annotated[str | None, _CALENDAR] = None,
    drift: Annotated[float | None, _DRIFT] = None,
    any_drift: Annotated[bool, typer.Option("--any-drift", help="Any number of rows is right.")] = False,
    fresh: Annotated[int | None, _FRESH] = None,
    any_age: Annotated[bool, typer.Option("--any-age", help="The newest session may be of any age.")] = False,
    not_null: Annotated[list[str] | None, _NOT_NULL] = None,
    visibility: Annotated[str | None, _VISIBILITY] = None,
    reader: Annotated[list[str] | None, _READER] = None,
    sample_rows: Annotated[int | None, _SAMPLE_ROWS] = None,
    open_sample: Annotated[
        bool | None, typer.Option("--open-sample/--closed-sample", help="Whether the sample needs no token.")
    ] = None,
    keep: Annotated[int | None, _KEEP] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; the empty text takes a column, calendar or reader away. Contracts hold from now on."""
    promised = _given(
        key=None if key is None else _listed(key), session=session, calendar=calendar, drift=drift,
        freshness=_freshness(fresh), not_null=not_null,
    )  # fmt: skip
    promised |= _taken_away("drift", drift, "--any-drift", any_drift)
    promised |= _taken_away("freshness", fresh, "--any-age", any_age)
    shown = _given(rows=sample_rows, open=open_sample)
    text = None if description is None else _text_of(description)
    plain = _given(title=title, description=text, visibility=visibility, readers=reader, keep=keep)
    if not (promised or shown or plain):
        raise BadField(field="update", reason="give at least one option with what is to change")
    with connect() as client:
        before = client.products.show(name)
        made = client.products.update(name, _changed(before, promised, shown, plain))
    print_json(made) if as_json else print_product(made)


def _changed(
    before: ProductView, promised: dict[str, Any], shown: dict[str, Any], plain: dict[str, Any]
) -> ProductUpdate:
    """Contract and sample are documents that are changed as a whole: what is not given stays as it was."""
    whole = dict(plain)
    if promised:
        whole["contract"] = before.contract.model_dump() | promised
    if shown:
        whole["sample"] = before.sample.model_dump() | shown
    return checked(ProductUpdate, **whole)


def _taken_away(entry: str, given: float | None, option: str, is_any: bool) -> dict[str, None]:
    if is_any and given is not None:
        raise BadField(field=option, reason=f"give one of --{'fresh' if entry == 'freshness' else entry} and {option}")
    return {entry: None} if is_any else {}


def _given(**options: Any) -> dict[str, Any]:
    """Those that were given; the empty text takes away."""
    return {name: _emptied(value) for name, value in options.items() if value is not None}


def _emptied(value: Any) -> Any:
    return None if value == "" else [] if value == [""] else value


def _freshness(fresh: int | None) -> dict[str, int] | None:
    return None if fresh is None else {"at_most": fresh}


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _text_of(file: Path) -> str:
    try:
        text = file.read_bytes()
        if len(text) > _DESCRIPTION_BYTES:
            raise BadField(field="--description", reason=f"{file} has more than {_DESCRIPTION_BYTES} bytes")
        return text.decode()
    except OSError as error:
        raise BadField(field="--description", reason=f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadField(field="--description", reason=f"{file} is no UTF-8 text") from None
