"""`datacanal usage`: what your account used in a month, and what it comes to so far."""

from __future__ import annotations

from typing import Annotated

import typer

from datacanal.cli.session import AsJson, connect, print_json, print_table
from datacanal.cli.text import bytes_text
from datacanal.protocol.money import Money, Usage, UsageLine

Period = Annotated[str | None, typer.Option("--period", metavar="YYYY-MM", help="A month in UTC; else this one.")]
_FIGURES = ("calls", "rows", "bytes", "computing", "units", "money")


def add_to(app: typer.Typer) -> None:
    """The command."""
    app.command("usage")(usage)


def usage(
    period: Period = None,
    product: Annotated[str | None, typer.Option("--product", help="This product alone.")] = None,
    by: Annotated[str, typer.Option("--by", help="day, product, subscription or key.")] = "product",
    of_product: Annotated[
        str | None, typer.Option("--of-product", help="What all readers of a product of yours used.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What your account used in a month, and what it comes to so far (DATACANAL_GATEWAY)."""
    with connect() as client:
        if of_product is None:
            found = client.usage.own(period=period, product=product, group_by=by)
        else:
            found = client.usage.of_product(of_product, period=period, group_by=by)
    print_json(found) if as_json else print_usage(found)


def print_usage(found: Usage) -> None:
    """A line for each, and their total."""
    lines = [*found.lines, found.total.model_copy(update={"money": found.money})]
    says_product = any(each.product not in (None, each.key) for each in lines)
    names = [found.group_by, *(["product"] if says_product else []), *_FIGURES]
    right = [name in _FIGURES for name in names]
    print_table(names, [_cells(each, says_product) for each in lines], right=right)


def _cells(line: UsageLine, says_product: bool) -> list[str]:
    return [
        line.key,
        *([line.product or ""] if says_product else []),
        f"{line.calls:,}",
        f"{line.rows:,}",
        bytes_text(line.bytes),
        f"{line.compute_ms:,} ms",
        f"{line.units:,}",
        money_text(line.money or []),
    ]


def money_text(money: list[Money]) -> str:
    """`100.20 CNY, 300 JPY`."""
    return ", ".join(f"{each.amount} {each.currency}" for each in money)
