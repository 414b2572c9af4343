"""Bring a database to the newest schema. A folder of migrations holds `env.py` and `versions`."""

from __future__ import annotations

from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData


def migrate(engine: Engine, migrations: Path) -> None:
    """Run every migration of the folder that is missing, in one transaction. Data is kept."""
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_migrated(engine: Engine, migrations: Path) -> bool:
    """Whether the database has exactly the schema that these migrations end with."""
    newest = ScriptDirectory(str(migrations)).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == newest


def run_migrations(tables: MetaData) -> None:
    """What an `env.py` does: run on the connection that `migrate` hands over."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=tables,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
