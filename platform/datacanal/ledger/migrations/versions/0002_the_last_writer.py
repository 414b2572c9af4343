"""Who wrote the book last, so that a meter knows whether what it read still holds"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("book", sa.Column("writer", sa.String(length=64), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("book", "writer")
