"""What a model refuses, beside the errors of `terminology.errors`.

::

    BodySiteError
    └── PredictionError        a model cannot answer for one image
"""

from __future__ import annotations

from terminology.errors import BodySiteError


class PredictionError(BodySiteError):
    """An image that a model cannot read or answer for; other images are not concerned."""
