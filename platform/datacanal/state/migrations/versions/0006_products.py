"""Products with their versions and channels, owners' consents, and schedules"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "products",
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=127), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("readers", sa.Text(), nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.Column("keep", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_products")),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("calendar", sa.String(length=16), nullable=True),
        sa.Column("catch_up", sa.String(length=8), nullable=False),
        sa.Column("product", sa.String(length=127), nullable=True),
        sa.Column("promote", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.CheckConstraint("catch_up IN ('none', 'last', 'all')", name=op.f("ck_schedules_catch_up")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_schedules_tenant_name")),
    )
    op.create_table(
        "versions",
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=127), nullable=False),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("promote", sa.Boolean(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("lineage", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'held', 'staged', 'canary', 'stable', 'superseded', 'retired', 'failed')",
            name=op.f("ck_versions_state"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_versions_job_id")),
        sa.ForeignKeyConstraint(
            ["tenant", "product"], ["products.tenant", "products.name"], name=op.f("fk_versions_tenant_product")
        ),
        sa.PrimaryKeyConstraint("snapshot", name=op.f("pk_versions")),
        sa.UniqueConstraint("tenant", "product", "major", "minor", name=op.f("uq_versions_tenant_product_major_minor")),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("product", sa.String(length=127), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=True),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.CheckConstraint("channel IN ('stable', 'canary')", name=op.f("ck_channels_channel")),
        sa.ForeignKeyConstraint(["snapshot"], ["versions.snapshot"], name=op.f("fk_channels_snapshot")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
    )
    op.create_index(
        op.f("ix_channels_tenant_product_channel_id"), "channels", ["tenant", "product", "channel", "id"], unique=False
    )
    op.create_table(
        "consents",
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("lake", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["snapshot"], ["versions.snapshot"], name=op.f("fk_consents_snapshot")),
        sa.PrimaryKeyConstraint("snapshot", "lake", "dataset", name=op.f("pk_consents")),
    )
    op.create_table(
        "restatements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("product", sa.String(length=127), nullable=False),
        sa.Column("old_snapshot", sa.String(length=64), nullable=False),
        sa.Column("new_snapshot", sa.String(length=64), nullable=False),
        sa.Column("sessions", sa.Text(), nullable=False),
        sa.Column("keys", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["new_snapshot"], ["versions.snapshot"], name=op.f("fk_restatements_new_snapshot")),
        sa.ForeignKeyConstraint(["old_snapshot"], ["versions.snapshot"], name=op.f("fk_restatements_old_snapshot")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restatements")),
    )
    op.create_index(
        op.f("ix_restatements_tenant_product_id"), "restatements", ["tenant", "product", "id"], unique=False
    )
    op.create_table(
        "schedule_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("schedule_id", sa.String(length=64), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("snapshot", sa.String(length=64), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'publishing', 'succeeded', 'failed', 'skipped')",
            name=op.f("ck_schedule_runs_state"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_schedule_runs_job_id")),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedules.id"], name=op.f("fk_schedule_runs_schedule_id")),
        sa.ForeignKeyConstraint(["snapshot"], ["versions.snapshot"], name=op.f("fk_schedule_runs_snapshot")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_runs")),
        sa.UniqueConstraint("schedule_id", "due_at", name=op.f("uq_schedule_runs_schedule_id_due_at")),
        sqlite_autoincrement=True,
    )
    active = sa.text("state IN ('running', 'publishing')")
    op.create_index(
        "ux_schedule_runs_active",
        "schedule_runs",
        ["schedule_id"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )
    op.execute("INSERT INTO revisions (id, number, tenant, principal) VALUES (1, 0, 'system', 'system')")


def downgrade() -> None:
    op.drop_index("ux_schedule_runs_active", table_name="schedule_runs")
    op.drop_table("schedule_runs")
    op.drop_index(op.f("ix_restatements_tenant_product_id"), table_name="restatements")
    op.drop_table("restatements")
    op.drop_table("consents")
    op.drop_index(op.f("ix_channels_tenant_product_channel_id"), table_name="channels")
    op.drop_table("channels")
    op.drop_table("versions")
    op.drop_table("schedules")
    op.drop_table("revisions")
    op.drop_table("products")
