"""The demonstration's last part: a developer subscribes and calls with a key until the quota ends; then the bill."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from datacanal.cli import ledger
from datacanal.cli.demo.product import NAME
from datacanal.cli.invoices import print_invoice
from datacanal.cli.output import result_lines
from datacanal.cli.usage import print_usage
from datacanal.client import Client
from datacanal.client.product import Product
from datacanal.domain.errors import RemoteError, StartFailed
from datacanal.domain.metering_errors import QuotaExhausted
from datacanal.domain.wording import counted
from datacanal.protocol.money import Tariff
from datacanal.protocol.receipts import Receipt

_CURL_S = 20
_SEALED_WITHIN_S = 10.0
_ROWS_A_CALL = 8
_TARIFF = Tariff.model_validate(
    {
        "name": "starter",
        "unit": "rows",
        "currency": "EUR",
        "flat": "5.00",
        "included": 10,
        "tiers": [{"up_to": 15, "price": "0.20"}, {"up_to": None, "price": "0.05"}],
        "quotas": [{"dimension": "rows", "amount": 30, "period": "day"}],
        "burst": {"calls": 50},
    }
)
_SAYS = """
The publisher offers it: 5 EUR a month with 10 rows, then 0.20 EUR a row, from the 16th on 0.05; 30 rows a day."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Developer:
    """Who calls: a token to sign in with, where, and the configuration of the service for those who run it."""

    token: str
    gateway: str
    configuration: Path


def show_metering(publisher: Client, developer: Developer, say: Say) -> None:
    """Subscribe, call, meet the quota; then usage, receipt, ledger and invoice."""
    say(_SAYS)
    if _TARIFF.name not in {offered.tariff.name for offered in publisher.tariffs.list_all(NAME)}:
        publisher.tariffs.add(NAME, _TARIFF)
    with Client(publisher.url, developer.token, gateway=developer.gateway) as person:
        subscription = person.subscriptions.create(NAME, tariff=_TARIFF.name, purpose="the demonstration")
        key = person.keys.create(subscription.id, name="demonstration", scopes=("data", "sample", "account"))
        say(f"A developer subscribes ({subscription.id}, {subscription.state}) and gets a key, shown this once.")
        receipt = _show_calls(publisher.url, developer.gateway, key.secret, say)
        say("\nWhat was used this month:\n")
        print_usage(person.usage.own(product=NAME))
        _show_receipt(person, receipt, say)
        command = f"datacanal ledger verify --config {developer.configuration}"
        say(f"\nThe whole ledger, on the machine that has it:\n\n$ {command}")
        ledger.verify(config=developer.configuration)
        say("\nand what the invoice would say if the month ended now:\n")
        for invoice in person.invoices.preview():
            print_invoice(invoice)


def _show_calls(url: str, gateway: str, key: str, say: Say) -> str:
    """Call until the quota refuses; gives the first receipt."""
    address = f"{gateway}/v1/products/{NAME}/data?country=CZ,DE&select=segment,country,spent&limit=3"
    say(f"\nThe key opens the product to any program:\n\n$ curl -H 'Authorization: Bearer dck_live_…' '{address}'")
    answer = _curled(address, key)
    say(answer)
    say(f"\nand from Python:\n\n>>> client.product({NAME!r}).to_arrow(order='-segment', limit={_ROWS_A_CALL})\n")
    with Client(url, key, gateway=gateway) as program:
        product = program.product(NAME)
        table = product.to_arrow(order="-segment", limit=_ROWS_A_CALL)
        say("\n".join(result_lines(table, table.num_rows, None)))
        say("\nAnd on, until the day's quota ends:\n")
        _call_until_refused(product, say)
    return _header(answer, "datacanal-receipt")


def _call_until_refused(product: Product, say: Say) -> None:
    for limit in range(10, 0, -1):  # another question each time: what the client has already costs nothing
        try:
            rows = product.to_arrow(limit=limit).num_rows
        except RemoteError as refused:
            if refused.code != QuotaExhausted.code:
                raise
            say(f"  limit={limit}: 429 {refused.code}\n    {refused.detail}\n    {refused.remedy}")
            return
        say(f"  limit={limit}: {counted(rows, 'row')}")
    raise StartFailed(what="the demonstration", reason="the quota of a day never ended")


def _show_receipt(person: Client, receipt: str, say: Say) -> None:
    """Once a second what was used is sealed; then its receipt proves itself."""
    until = time.monotonic() + _SEALED_WITHIN_S
    while (found := person.ledger.receipt(receipt)).checkpoint is None and time.monotonic() < until:
        time.sleep(0.2)
    person.ledger.verify(found)
    say(f"\n>>> client.ledger.verify({receipt!r})\n\n{_receipt_text(found)}")


def _receipt_text(receipt: Receipt) -> str:
    sealed = receipt.checkpoint
    assert sealed is not None  # noqa: S101  # `verify` has proved it by its checkpoint
    facts: dict[str, Any] = {
        "event": f"{receipt.seq}, {receipt.kind}, {receipt.outcome}",
        "product": f"{receipt.product} {receipt.version}, {receipt.snapshot}",
        "rows, bytes, units": f"{receipt.rows:,}, {receipt.bytes:,}, {receipt.units:,}",
        "hash": receipt.hash,
        "proven by": f"checkpoint {sealed.number} over {sealed.count:,} events, signed by {sealed.key[:16]}…",
    }
    return "\n".join(f"  {name:<19} {value}" for name, value in facts.items())


def _header(answer: str, name: str) -> str:
    lines = (line.partition(":") for line in answer.splitlines())
    return next(value.strip() for each, _, value in lines if each.lower() == name)


def _curled(address: str, key: str) -> str:
    """What curl prints, head and body."""
    program = shutil.which("curl")
    if program is None:
        return _asked(address, key)
    # The key goes over standard input, because a command line can be seen by every user of the machine.
    done = subprocess.run(
        [program, "--silent", "--show-error", "--include", "--config", "-", address],
        input=f'header = "Authorization: Bearer {key}"\n', capture_output=True, text=True, timeout=_CURL_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise StartFailed(what="the gateway", reason=f"curl ended with code {done.returncode}: {done.stderr.strip()}")
    return done.stdout.replace("\r", "").strip()


def _asked(address: str, key: str) -> str:
    """The same on a machine without curl."""
    answer = httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=_CURL_S, trust_env=False)
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    return f"(this machine has no curl; what it would have printed)\n{head}\n\n{answer.text}"
