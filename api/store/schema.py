"""The tables of the store, as the newest migration leaves them; SQLite or PostgreSQL.

::

    setting              name → value: the salt, the version of the tables, the PHI policy
    study                one row a study: what a writer locks
    instance_annotation  one JSON a SOP instance: what a study's resources are rebuilt from
    resource             the current version of every resource, with `rid`, the order of search
    resource_version     every version that another one has replaced
    token_value          each distinct (resource type, parameter, system, code) in use, once
    token                which resource carries which value
    date_value           times to search by: microseconds since 1970, half-open, NULL an open end
    text_value           strings to search by, as they are and `folded` (`api.store.folding`)
    quantity_value       amounts to search by
    resource_text        full text of narratives and of contents, folded
    job, job_part        work that goes on behind an answer, and what it has made so far

`resource_text` is an FTS5 table on SQLite, whose `rowid` is the `rid`, and a table with two
`tsvector` columns on PostgreSQL.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

# What the setting `schema` says; releases of before the migrations look at it too.
SCHEMA_VERSION: Final = "2"
# Goes up whenever resources are to be found by more, or by something else, than before: what was
# stored earlier is then indexed again (`api.store.reindexing`).
INDEX_VERSION: Final = "1"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata = sa.MetaData()
setting = sa.Table(
    "setting",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
study = sa.Table("study", metadata, sa.Column("id", sa.Text, primary_key=True))
instance = sa.Table(
    "instance_annotation",
    metadata,
    sa.Column("study_id", sa.Text, sa.ForeignKey("study.id"), primary_key=True),
    sa.Column("sop_instance_uid", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
resource = sa.Table(
    "resource",
    metadata,
    sa.Column("rid", _BIG, primary_key=True, autoincrement=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("study_id", sa.Text, nullable=True),
    sa.Column("version_id", sa.Integer, nullable=False),
    sa.Column("last_updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, server_default="machine"),
    sa.Column("method", sa.Text, nullable=False, server_default="PUT"),
    sa.UniqueConstraint("type", "id"),
    sqlite_autoincrement=True,
)
sa.Index("resource_by_order", resource.c.type, resource.c.deleted, resource.c.rid)
sa.Index("resource_by_study", resource.c.study_id)
sa.Index("resource_by_time", resource.c.type, resource.c.last_updated)
sa.Index("resource_by_time_of_all", resource.c.last_updated)
version = sa.Table(
    "resource_version",
    metadata,
    sa.Column("rid", sa.BigInteger, primary_key=True),
    sa.Column("version_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last_updated", sa.BigInteger, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
sa.Index("resource_version_by_time", version.c.last_updated)
value = sa.Table(
    "token_value",
    metadata,
    sa.Column("value_id", sa.Integer, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("param", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.UniqueConstraint("type", "param", "code", "system"),
)
token = sa.Table(
    "token",
    metadata,
    sa.Column("value_id", sa.Integer, primary_key=True),
    sa.Column("rid", sa.BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("token_by_resource", token.c.rid, token.c.value_id)
date = sa.Table(
    "date_value",
    metadata,
    sa.Column("rid", sa.BigInteger, nullable=False),
    sa.Column("param", sa.Text, nullable=False),
    sa.Column("low", sa.BigInteger, nullable=True),
    sa.Column("high", sa.BigInteger, nullable=True),
)
sa.Index("date_value_by_low", date.c.param, date.c.low)
sa.Index("date_value_by_resource", date.c.rid)
text = sa.Table(
    "text_value",
    metadata,
    sa.Column("rid", sa.BigInteger, nullable=False),
    sa.Column("param", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False),
    sa.Column("exact", sa.Text, nullable=False),
)
sa.Index(
    "text_value_by_text",
    text.c.param,
    text.c.folded,
    # A prefix is looked up in this index whatever the collation of the database.
    postgresql_ops={"folded": "text_pattern_ops"},
)
sa.Index("text_value_by_resource", text.c.rid)
quantity = sa.Table(
    "quantity_value",
    metadata,
    sa.Column("rid", sa.BigInteger, nullable=False),
    sa.Column("param", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
)
sa.Index("quantity_value_by_value", quantity.c.param, quantity.c.code, quantity.c.value)
sa.Index("quantity_value_by_resource", quantity.c.rid)
job = sa.Table(
    "job",
    metadata,
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
sa.Index("job_by_state", job.c.state, job.c.created)
job_part = sa.Table(
    "job_part",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
# Made by the migrations alone: no table that SQLAlchemy could make for SQLite.
full_text = {
    "sqlite": sa.table(
        "resource_text",
        sa.column("rowid", sa.BigInteger),
        sa.column("narrative", sa.Text),
        sa.column("content", sa.Text),
    ),
    "postgresql": sa.table(
        "resource_text",
        sa.column("rid", sa.BigInteger),
        sa.column("narrative", sa.Text),
        sa.column("content", sa.Text),
    ),
}
