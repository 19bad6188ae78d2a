"""What Alembic runs for each command; `mamkit.catalog.migrate` is the way in, and brings the connection."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

from alembic import context

from mamkit.catalog.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters tables by building them anew
)
with context.begin_transaction():
    context.run_migrations()
