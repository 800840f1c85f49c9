"""Alembic's migrations of the database; `api.store.upgrading` runs them."""
