"""Alembic's environment. `monitor.postgres.migration` passes the connection and the layout of ids as attributes.

From alembic's own command line: `alembic -x dsn=postgresql://... -x ids=hashed upgrade head`.
"""

from alembic import context

from monitor.postgres.migration import compared, engine_of
from monitor.postgres.schema import whole_schema


def run() -> None:
    """Run the wanted revisions in one transaction."""
    given = context.get_x_argument(as_dictionary=True)
    attributes = context.config.attributes
    if "ids" in given:
        attributes["ids"] = given["ids"]
    if "connection" in attributes:
        context.configure(connection=attributes["connection"], target_metadata=whole_schema, include_object=compared)
        with context.begin_transaction():
            context.run_migrations()
        return
    with engine_of(given["dsn"]).begin() as connection:
        context.configure(connection=connection, target_metadata=whole_schema, include_object=compared)
        with context.begin_transaction():
            context.run_migrations()


run()
