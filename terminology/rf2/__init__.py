"""SNOMED CT releases in Release Format 2: file names, rows, what is current.

Nothing else reads RF2. The release comes out as `ReleaseRows`, columns of numbers and of UTF-8
text; `terminology.release` compiles them into the index that answers queries.
"""

from terminology.rf2.errors import ReleaseError
from terminology.rf2.reader import read_release
from terminology.rf2.rows import ReleaseRows

__all__ = ["ReleaseError", "ReleaseRows", "read_release"]
