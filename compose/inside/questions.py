"""What a user asks from the client's container: one statement over both lakes, and one function at a lake."""

from __future__ import annotations

from typing import Any

from datacanal.cli.demo.questions import MAIN
from datacanal.cli.output import result_lines
from datacanal.client import Client, Job

client = Client()


@client.job(
    site="core",
    datasets=["transactions.payments"],
    inputs={"people": "SELECT customer_id, segment FROM users.customers"},
    columns={"segment": "VARCHAR", "payments": "BIGINT", "longest_pause_days": "DOUBLE"},
    workers=1,
    memory="512MiB",
)
def longest_pauses(ctx: Any, least: int = 3) -> Any:
    """Per segment, the longest time that a customer of at least so many payments went without one."""
    payments = ctx.dataset("transactions.payments").pandas()[["customer_id", "booked_at"]]
    people = ctx.input("people").pandas()
    payments = payments.sort_values(["customer_id", "booked_at"])
    payments["pause"] = payments.groupby("customer_id")["booked_at"].diff().dt.total_seconds() / 86_400
    per_customer = payments.groupby("customer_id")["pause"].agg(payments="size", pause="max").reset_index()
    enough = per_customer[per_customer["payments"] >= least].merge(people, on="customer_id")
    found = enough.groupby("segment").agg(payments=("payments", "sum"), longest_pause_days=("pause", "max"))
    return found.round(1).reset_index()


def show(title: str, job: Job) -> None:
    """The answer, and what crossed between the sites for it."""
    table = job.to_arrow()
    if table.num_rows == 0:
        raise SystemExit(f"{title}: no rows came")
    print(f"\n{title}")
    print("\n".join(result_lines(table, table.num_rows, None)))
    for transfer in job.stats.transfers:
        print(f"  {transfer.from_} → {transfer.to}: {transfer.rows:,} rows, {transfer.bytes_wire:,} bytes")
    print(f"  in {job.stats.elapsed_ms / 1000:.1f} s", flush=True)


def main() -> None:
    show("A statement over both lakes", client.sql(MAIN))
    show("A Python function at site core", client.submit(longest_pauses, least=3))


if __name__ == "__main__":
    main()
