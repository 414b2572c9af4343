"""The submitter's role and groups stand with the job, and when it was planned: what its authorities say.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Jobs from before this revision were submitted by analysts of no group, as far as any site will believe.
    op.add_column("jobs", sa.Column("role", sa.String(length=16), nullable=False, server_default="analyst"))
    op.add_column("jobs", sa.Column("groups", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("jobs", sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "planned_at")
    op.drop_column("jobs", "groups")
    op.drop_column("jobs", "role")
