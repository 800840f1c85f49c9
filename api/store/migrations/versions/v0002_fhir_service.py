"""Versions of resources, times, strings, amounts and full text to search by, and jobs.

What was stored until now is the machine's. It is found by tokens alone until it is indexed again:
the setting `index` is missing then.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    """Make the new tables and columns."""
    _resources()
    _values()
    _full_text()
    _jobs()
    setting = sa.table("setting", sa.column("name", sa.Text), sa.column("value", sa.Text))
    connection = op.get_bind()
    # Releases of before the migrations look here, and refuse what they do not know.
    connection.execute(setting.delete().where(setting.c.name == "schema"))
    connection.execute(setting.insert().values(name="schema", value="2"))
    anything = connection.scalar(sa.text("SELECT 1 FROM resource LIMIT 1"))
    if anything is None:
        connection.execute(setting.insert().values(name="index", value="1"))


def _resources() -> None:
    op.add_column(
        "resource", sa.Column("origin", sa.Text, nullable=False, server_default="machine")
    )
    op.add_column("resource", sa.Column("method", sa.Text, nullable=False, server_default="PUT"))
    op.execute("UPDATE resource SET method = 'DELETE' WHERE deleted")
    op.create_index("resource_by_time_of_all", "resource", ["last_updated"])
    op.create_table(
        "resource_version",
        sa.Column("rid", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_updated", sa.BigInteger, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("resource_version_by_time", "resource_version", ["last_updated"])


def _values() -> None:
    op.create_table(
        "date_value",
        sa.Column("rid", sa.BigInteger, nullable=False),
        sa.Column("param", sa.Text, nullable=False),
        sa.Column("low", sa.BigInteger, nullable=True),
        sa.Column("high", sa.BigInteger, nullable=True),
    )
    op.create_index("date_value_by_low", "date_value", ["param", "low"])
    op.create_index("date_value_by_resource", "date_value", ["rid"])
    op.create_table(
        "text_value",
        sa.Column("rid", sa.BigInteger, nullable=False),
        sa.Column("param", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("exact", sa.Text, nullable=False),
    )
    op.create_index(
        "text_value_by_text",
        "text_value",
        ["param", "folded"],
        postgresql_ops={"folded": "text_pattern_ops"},
    )
    op.create_index("text_value_by_resource", "text_value", ["rid"])
    op.create_table(
        "quantity_value",
        sa.Column("rid", sa.BigInteger, nullable=False),
        sa.Column("param", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
    )
    op.create_index("quantity_value_by_value", "quantity_value", ["param", "code", "value"])
    op.create_index("quantity_value_by_resource", "quantity_value", ["rid"])


def _full_text() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # What is written is folded already; FTS5 folds what is asked in the same way.
        op.execute(
            "CREATE VIRTUAL TABLE resource_text USING"
            " fts5(narrative, content, tokenize = 'unicode61 remove_diacritics 2')"
        )
        return
    op.execute(
        "CREATE TABLE resource_text"
        " (rid BIGINT PRIMARY KEY, narrative TSVECTOR NOT NULL, content TSVECTOR NOT NULL)"
    )
    op.execute("CREATE INDEX resource_text_narrative ON resource_text USING gin (narrative)")
    op.execute("CREATE INDEX resource_text_content ON resource_text USING gin (content)")


def _jobs() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False, server_default="{}"),
        sa.Column("result", sa.Text, nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=True),
        sa.Column("cancel", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index("job_by_state", "job", ["state", "created"])
    op.create_table(
        "job_part",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
