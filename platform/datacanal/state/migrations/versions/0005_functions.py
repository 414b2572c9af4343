"""What a job of the kind python was submitted with"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("python", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "python")
