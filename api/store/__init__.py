"""Where resources live: the `ResourceStore` protocol and its SQL implementation.

The store knows resources, the instance annotations that a study is built from, and what they are
searched by; what a body site is, it does not know.
"""

from api.store.protocol import ResourceStore
from api.store.sql import SqlStore
from api.store.transaction import StudyUpdate, Transaction, VersionConflictError

__all__ = ["ResourceStore", "SqlStore", "StudyUpdate", "Transaction", "VersionConflictError"]
