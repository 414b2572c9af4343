"""`datacanal product …`: make products, publish versions, release them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from datacanal.cli import product_data, releases
from datacanal.cli.product_text import print_product, print_products, print_version, print_versions
from datacanal.cli.session import AsJson, connect, print_json
from datacanal.domain.errors import BadField
from datacanal.protocol.base import Document
from datacanal.protocol.products import ProductRequest

Name = Annotated[str, typer.Argument(metavar="PRODUCT", help="publisher.product")]
Key = Annotated[str, typer.Option("--key", help="The columns that name a row, separated by commas.")]
Title = Annotated[str | None, typer.Option("--title", help="For the catalogue; else the name.")]
Description = Annotated[Path | None, typer.Option("--description", metavar="FILE.md", help="In Markdown.")]
SessionColumn = Annotated[str | None, typer.Option("--session", help="The column of dates that rows come in by.")]
Exchange = Annotated[str | None, typer.Option("--calendar", help="Whose sessions are expected: XSHG, XNYS …")]
Drift = Annotated[float, typer.Option("--drift", min=0, help="How far the row count may be off, as a share.")]
Fresh = Annotated[int | None, typer.Option("--fresh", min=0, help="Sessions (else days) that the newest may be old.")]
NotNull = Annotated[list[str] | None, typer.Option("--not-null", help="A column without nulls; repeatable.")]
Visible = Annotated[str, typer.Option("--visibility", help="private, listed or internal.")]
Readers = Annotated[list[str] | None, typer.Option("--reader", help="group:NAME or principal:NAME; repeatable.")]
SampleRows = Annotated[int, typer.Option("--sample-rows", min=0, help="Rows that show what it is like.")]
OpenSample = Annotated[bool, typer.Option("--open-sample", help="The sample needs no token.")]
Keep = Annotated[int, typer.Option("--keep", min=2, help="Versions that stay beside the channels'.")]
_D = TypeVar("_D", bound=Document)
_DESCRIPTION_BYTES = 64 * 2**10


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Data products: publish results, release versions.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_products)
    group.command("show")(show)
    group.command("versions")(list_versions)
    releases.add_to(group)
    product_data.add_to(group)
    app.add_typer(group, name="product")


def create(
    name: Name,
    key: Key,
    title: Title = None,
    description: Description = None,
    session: SessionColumn = None,
    calendar: Exchange = None,
    drift: Drift = 0.3,
    fresh: Fresh = None,
    not_null: NotNull = None,
    visibility: Visible = "private",
    reader: Readers = None,
    sample_rows: SampleRows = 10,
    open_sample: OpenSample = False,
    keep: Keep = 10,
    as_json: AsJson = False,
) -> None:
    """A new product, without a version yet."""
    contract = {
        "key": _listed(key),
        "not_null": not_null or [],
        "session": session,
        "calendar": calendar,
        "drift": drift,
        "freshness": None if fresh is None else {"at_most": fresh},
    }
    request = _checked(
        ProductRequest,
        name=name,
        title=title or name,
        description=_text_of(description),
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


def list_products(as_json: AsJson = False) -> None:
    """The products that you may know of."""
    with connect() as client:
        found = client.products.list_all()
    if as_json:
        print_json(found)
        return
    print_products(found)


def show(
    name: Name,
    version: Annotated[str | None, typer.Option("--version", help="One version, with its report.")] = None,
    as_json: AsJson = False,
) -> None:
    """A product with its contract and channels; or one of its versions, with all that was found."""
    with connect() as client:
        if version is None:
            product = client.products.show(name)
            print_json(product) if as_json else print_product(product)
        else:
            found = client.products.version(name, version)
            print_json(found) if as_json else print_version(found)


def list_versions(name: Name, as_json: AsJson = False) -> None:
    """Every version, the newest first."""
    with connect() as client:
        found = client.products.versions(name)
    if as_json:
        print_json(found)
        return
    print_versions(found)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _text_of(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        text = file.read_bytes()
        if len(text) > _DESCRIPTION_BYTES:
            raise BadField(field="--description", reason=f"{file} has more than {_DESCRIPTION_BYTES} bytes")
        return text.decode()
    except OSError as error:
        raise BadField(field="--description", reason=f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadField(field="--description", reason=f"{file} is no UTF-8 text") from None


def _checked(document: type[_D], **fields: Any) -> _D:
    try:
        return document.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadField(field=".".join(str(part) for part in first["loc"]), reason=first["msg"]) from None
