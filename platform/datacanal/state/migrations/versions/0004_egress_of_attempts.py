"""What sites told of their records; what attempts said stays at the sites"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("attempts") as batch_op:
        batch_op.add_column(sa.Column("egress", sa.Text(), server_default="[]", nullable=False))
        batch_op.drop_column("said")


def downgrade() -> None:
    with op.batch_alter_table("attempts") as batch_op:
        batch_op.add_column(sa.Column("said", sa.Text(), server_default="", nullable=False))
        batch_op.drop_column("egress")
