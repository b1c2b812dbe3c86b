"""What Alembic runs: the migrations, in the transaction that `upgrade` opened."""

from alembic import context

from zhiyin.core.ledger_chat import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction holds all of it
)
context.run_migrations()
