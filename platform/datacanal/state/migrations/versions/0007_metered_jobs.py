"""Which ended jobs stand in the book"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_UNMETERED = sa.text("finished_at IS NOT NULL AND metered_at IS NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("metered_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_unmetered", "jobs", ["id"], sqlite_where=_UNMETERED, postgresql_where=_UNMETERED)


def downgrade() -> None:
    op.drop_index("ix_jobs_unmetered", table_name="jobs")
    op.drop_column("jobs", "metered_at")
