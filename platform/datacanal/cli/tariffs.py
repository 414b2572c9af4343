"""`datacanal product tariff …`: what a product is offered at."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.domain.errors import BadField
from datacanal.domain.metering_errors import BadTariff
from datacanal.protocol.money import Tariff, TariffView
from datacanal.protocol.tariff_text import price_line
from datacanal.protocol.wrong import reason_of

Name = Annotated[str, typer.Argument(metavar="PRODUCT", help="publisher.product")]


def add_to(group: typer.Typer) -> None:
    """The group, within that of products."""
    tariffs = typer.Typer(help="What a product is offered at (DATACANAL_GATEWAY).", no_args_is_help=True)
    tariffs.command("add")(add)
    tariffs.command("list")(list_tariffs)
    tariffs.command("withdraw")(withdraw)
    group.add_typer(tariffs, name="tariff")


def add(
    product: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tariff as TOML; prices are texts.")],
    as_json: AsJson = False,
) -> None:
    """Offer a product at a tariff; it never changes."""
    tariff = tariff_in(file)
    with connect() as client:
        _tell(client.tariffs.add(product, tariff), as_json)


def list_tariffs(product: Name, as_json: AsJson = False) -> None:
    """The tariffs that can be subscribed to; to the publisher the others too."""
    with connect() as client:
        found = client.tariffs.list_all(product)
    if as_json:
        print_json(found)
        return
    _print(found)


def withdraw(
    product: Name,
    tariff: Annotated[str, typer.Argument(metavar="TARIFF", help="Its id or its name.")],
    as_json: AsJson = False,
) -> None:
    """No new subscriptions to it; those that there are keep it."""
    with connect() as client:
        _tell(client.tariffs.withdraw(product, tariff), as_json)


def tariff_in(file: Path) -> Tariff:
    """The tariff that the file holds. Raises `BadField`, `BadTariff`."""
    try:
        return Tariff.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadField(field=str(file), reason=error.strerror or str(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadField(field=str(file), reason=f"not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or str(file)
        raise BadTariff(field=field, reason=reason_of(first)) from None


def _tell(view: TariffView, as_json: bool) -> None:
    print_json(view) if as_json else _print([view])


def _print(found: list[TariffView]) -> None:
    rows = [
        [
            each.tariff.name, each.id, price_line(each.tariff),
            ", ".join(f"{quota.amount:,} {quota.dimension}/{quota.period}" for quota in each.tariff.quotas),
            "asked" if each.tariff.approval else "",
            "withdrawn" if each.withdrawn_at else "" if each.tariff.visibility == "listed" else "unlisted",
        ]
        for each in found
    ]  # fmt: skip
    print_table(["tariff", "id", "price", "quotas", "publisher", ""], rows)
