"""Sites join with one-time tokens and prove themselves by certificates from then on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "site_certificates",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_site_certificates_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_certificates")),
    )
    op.create_index(op.f("ix_site_certificates_fingerprint"), "site_certificates", ["fingerprint"])
    op.create_index(op.f("ix_site_certificates_tenant_site"), "site_certificates", ["tenant", "site"])


def downgrade() -> None:
    op.drop_table("site_certificates")
    op.drop_column("tokens", "used_at")
