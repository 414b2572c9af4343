"""The record: every decision in one chain, what the egress book held included"""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_HASHED = (
    "seq", "at_ms", "tenant", "principal", "purpose", "job", "step", "fence", "kind", "receivers", "plan_digest",
    "policies", "snapshots", "columns", "rows", "bytes", "digest", "withheld_groups", "governed", "decision", "reason",
    "previous",
)  # fmt: skip
_TRIGGERS = {
    "record_is_kept": "BEFORE DELETE ON record",
    "record_stands": "BEFORE UPDATE ON record",
    "record_grows": (
        "BEFORE INSERT ON record WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM record)"
    ),
}  # fmt: skip


def upgrade() -> None:
    record = op.create_table(
        "record",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("receivers", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("policies", sa.Text(), nullable=False),
        sa.Column("snapshots", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("withheld_groups", sa.BigInteger(), nullable=False),
        sa.Column("governed", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.CheckConstraint(
            "kind IN ('step', 'transfer', 'result', 'log', 'peer', 'policy')", name=op.f("ck_record_kind")
        ),
        sa.CheckConstraint(
            "decision IN ('released', 'refused', 'served', 'accepted')", name=op.f("ck_record_decision")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_record")),
    )
    op.create_index("ix_record_job_step", "record", ["job", "step"])
    op.create_index(
        "uq_record_released",
        "record",
        ["job", "step", "kind", "digest", "receivers"],
        unique=True,
        sqlite_where=sa.text("decision = 'released'"),
    )
    op.create_index(
        "uq_record_refused",
        "record",
        ["job", "step", "kind", "digest", "fence"],
        unique=True,
        sqlite_where=sa.text("decision = 'refused' AND job <> ''"),
    )
    head = op.create_table(
        "record_head",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_head")),
    )
    entries = _chained()
    op.bulk_insert(record, entries)
    last = entries[-1]["hash"] if entries else "0" * 64
    site = {"tenant": "site", "principal": "site"}
    op.bulk_insert(head, [{"id": 1, "count": len(entries), "hash": last, "signature": "", **site}])
    for name, when in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END")
    op.drop_table("egress")
    with op.batch_alter_table("budget_use") as batch_op:
        batch_op.add_column(sa.Column("queries", sa.BigInteger(), server_default="0", nullable=False))
    with op.batch_alter_table("attempts") as batch_op:
        batch_op.add_column(sa.Column("reads", sa.Text(), nullable=True))


def _chained() -> list[dict[str, object]]:
    """What the egress book held, in its order and under new numbers."""
    entries: list[dict[str, object]] = []
    previous = "0" * 64
    for row in op.get_bind().execute(sa.text("SELECT * FROM egress ORDER BY seq")).mappings().all():
        columns = [[column["name"], _class(column)] for column in json.loads(row["columns"])]
        fresh = {"seq": len(entries) + 1, "fence": 0, "withheld_groups": 0, "governed": 0, "previous": previous}
        entry = {**row, **fresh, "columns": json.dumps(columns, ensure_ascii=False, separators=(",", ":"))}
        hashed = json.dumps([entry[name] for name in _HASHED], ensure_ascii=False, separators=(",", ":"))
        entry["hash"] = previous = hashlib.sha256(hashed.encode()).hexdigest()
        entries.append(entry)
    return entries


def _class(column: dict[str, dict[str, str]]) -> str:
    return column.get("label", {}).get("policy_class", "public")


def downgrade() -> None:
    raise NotImplementedError("the record is not taken apart again")
