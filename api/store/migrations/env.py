"""What Alembic runs the migrations in: the connection and the transaction of its caller."""

from alembic import context

from api.store.upgrading import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    # SQLite takes part, since the engine begins its transactions.
    transactional_ddl=True,
)
context.run_migrations()
