"""The entity log: which individuals contributed to the groups that were released"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entity_sets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("lake", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("individuals", sa.BigInteger(), nullable=False),
        sa.Column("least", sa.LargeBinary(), nullable=False),
        sa.Column("cells", sa.BigInteger(), nullable=False),
        sa.Column("places", sa.LargeBinary(), nullable=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity_sets")),
    )
    op.create_index(
        "ix_entity_sets_lake_dataset_measure_entity_individuals",
        "entity_sets",
        ["lake", "dataset", "measure", "entity", "individuals"],
    )
    op.create_index("ix_entity_sets_day", "entity_sets", ["day"])
