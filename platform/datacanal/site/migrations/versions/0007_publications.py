"""Approvals of publications, and the word for what owners say of them in the record"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WORDS = {
    "table": ("'policy', 'approval')", "'policy', 'approval', 'publication')"),
    "index": (
        "decision = 'refused' AND job <> ''",
        "decision = 'refused' AND job <> '' AND kind <> 'publication'",
    ),
}


def upgrade() -> None:
    with op.batch_alter_table("approvals", recreate="always") as approvals:
        approvals.add_column(sa.Column("product", sa.String(length=127), nullable=False, server_default=""))
        approvals.drop_constraint(op.f("pk_approvals"), type_="primary")
        approvals.create_primary_key(op.f("pk_approvals"), ["code", "image", "product"])
    with op.batch_alter_table("approvals") as approvals:
        approvals.alter_column("product", server_default=None)
    _let_the_record_say_publication()


def _let_the_record_say_publication() -> None:
    """SQLite changes no constraint: the table is made anew, its rows as they are, its indexes and triggers again."""
    store = op.get_bind()
    made = store.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = 'record' AND sql IS NOT NULL"
    ).all()
    [table] = [sql for kind, sql in made if kind == "table"]
    if _WORDS["table"][0] not in table:
        raise ValueError("the table of the record is not the one that migration 0006 made")
    store.exec_driver_sql("ALTER TABLE record RENAME TO record_before")
    store.exec_driver_sql(table.replace(*_WORDS["table"]))
    store.exec_driver_sql("INSERT INTO record SELECT * FROM record_before ORDER BY seq")
    store.exec_driver_sql("DROP TABLE record_before")
    for kind, sql in made:
        if kind != "table":
            store.exec_driver_sql(sql.replace(*_WORDS["index"]))


def downgrade() -> None:
    raise NotImplementedError("the record is not taken apart again")
