"""`datacanal product …`: the group, and looking at products and their versions."""

from __future__ import annotations

from typing import Annotated

import typer

from datacanal.cli import product_data, product_definitions, releases, tariffs
from datacanal.cli.product_text import print_product, print_products, print_version, print_versions
from datacanal.cli.session import AsJson, connect, print_json

Name = Annotated[str, typer.Argument(metavar="PRODUCT", help="publisher.product")]


def add_to(app: typer.Typer) -> None:
    """The group."""
    group = typer.Typer(help="Data products: publish results, release versions.", no_args_is_help=True)
    product_definitions.add_to(group)
    group.command("list")(list_products)
    group.command("show")(show)
    group.command("versions")(list_versions)
    releases.add_to(group)
    product_data.add_to(group)
    tariffs.add_to(group)
    app.add_typer(group, name="product")


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
