"""How Alembic reaches the database: over the connection, and inside the transaction, that it is handed."""

from alembic import context

from tradesense.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
