"""The errors of post-coordinated expressions."""

from __future__ import annotations

from terminology.errors import BodySiteError

_SHOWN = 80


class ExpressionError(BodySiteError):
    """An expression that is not in SNOMED CT compositional grammar, or that cannot be answered.

    Attributes
    ----------
    expression
        The text that was refused.
    position
        The character, counted from 0, where it goes wrong; `None` where the whole is meant.
    """

    def __init__(
        self, expression: str, position: int | None, what: str, expected: str, remedy: str = ""
    ) -> None:
        self.expression = expression
        self.position = position
        place = "expression" if position is None else f"expression at character {position + 1}"
        shown = expression if len(expression) <= _SHOWN else expression[:_SHOWN] + "…"
        super().__init__(
            place,
            f"{what} in '{shown}'",
            expected,
            remedy or "See the SNOMED CT Compositional Grammar 2.4 for the syntax.",
        )
