"""The tables of before the migrations: resources with tokens, and a site's own terminology.

A database of then has some of them or all; what is there stays as it is.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None


def upgrade() -> None:
    """Make the tables that are missing."""
    _resources()
    _tokens()
    _terminology()


def _resources() -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table("study", sa.Column("id", sa.Text, primary_key=True), if_not_exists=True)
    op.create_table(
        "instance_annotation",
        sa.Column("study_id", sa.Text, sa.ForeignKey("study.id"), primary_key=True),
        sa.Column("sop_instance_uid", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "resource",
        sa.Column(
            "rid",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("study_id", sa.Text, nullable=True),
        sa.Column("version_id", sa.Integer, nullable=False),
        sa.Column("last_updated", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("type", "id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    _index("resource_by_order", "resource", ["type", "deleted", "rid"])
    _index("resource_by_study", "resource", ["study_id"])
    _index("resource_by_time", "resource", ["type", "last_updated"])


def _tokens() -> None:
    op.create_table(
        "token_value",
        sa.Column("value_id", sa.Integer, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("param", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.UniqueConstraint("type", "param", "code", "system"),
        if_not_exists=True,
    )
    op.create_table(
        "token",
        sa.Column("value_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rid", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    _index("token_by_resource", "token", ["rid", "value_id"])


def _terminology() -> None:
    op.create_table(
        "terminology_state",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "terminology_resource",
        sa.Column("type", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version_id", sa.Integer, nullable=False),
        sa.Column("last_updated", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
    _index("terminology_resource_by_url", "terminology_resource", ["url"])
    op.create_table(
        "closure_table",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "closure_concept",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "closure_entry",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("above", sa.Text, primary_key=True),
        sa.Column("relationship", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        if_not_exists=True,
    )


def _index(name: str, table: str, columns: list[str]) -> None:
    op.create_index(name, table, columns, if_not_exists=True)
