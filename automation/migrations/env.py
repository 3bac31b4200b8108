"""Alembic's environment: runs the revisions on the connection that `automation.database` hands over. Never offline."""

from __future__ import annotations

from alembic import context

from automation import models_jobs, models_lines  # noqa: F401 - their tables belong to the same metadata
from automation.models import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
