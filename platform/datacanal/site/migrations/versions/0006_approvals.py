"""Approvals of functions, and the word for them in the record"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WORDS = ("'peer', 'policy')", "'peer', 'policy', 'approval')")


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("image", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("pickle", sa.Text(), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("datasets", sa.Text(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("granted", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.CheckConstraint("state IN ('requested', 'granted', 'revoked')", name=op.f("ck_approvals_state")),
        sa.PrimaryKeyConstraint("code", "image", name=op.f("pk_approvals")),
    )
    _let_the_record_say_approval()


def _let_the_record_say_approval() -> None:
    """SQLite changes no constraint: the table is made anew, its rows as they are, its indexes and triggers again."""
    store = op.get_bind()
    made = store.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = 'record' AND sql IS NOT NULL"
    ).all()
    [table] = [sql for kind, sql in made if kind == "table"]
    if _WORDS[0] not in table:
        raise ValueError("the table of the record is not the one that migration 0002 made")
    store.exec_driver_sql("ALTER TABLE record RENAME TO record_before")
    store.exec_driver_sql(table.replace(*_WORDS))
    store.exec_driver_sql("INSERT INTO record SELECT * FROM record_before ORDER BY seq")
    store.exec_driver_sql("DROP TABLE record_before")
    for kind, sql in made:
        if kind != "table":
            store.exec_driver_sql(sql)


def downgrade() -> None:
    raise NotImplementedError("the record is not taken apart again")
