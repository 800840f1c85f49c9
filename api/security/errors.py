"""What is refused at the border, each with its HTTP status and the headers that go with it."""

from __future__ import annotations

from collections.abc import Mapping

from api.errors import RequestError


class BorderError(RequestError):
    """A request that is refused before a route sees it; `headers` go with the answer."""

    def __init__(
        self,
        where: str,
        what: str,
        expected: str,
        remedy: str,
        *,
        status: int,
        issue: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(where, what, expected, remedy, status=status, issue=issue)
        self.headers = dict(headers or {})


class UnauthorizedError(BorderError):
    """No token, or none that holds.

    `error` is that of RFC 6750, 3.1; without a token there is none. Why a token does not hold is
    told in few words that say nothing of what is in it.
    """

    def __init__(self, what: str, remedy: str, *, error: str | None = None) -> None:
        shown = 'Bearer realm="bodysite"'
        if error is not None:
            shown += f', error="{error}", error_description="{what}"'
        super().__init__(
            "Authorization",
            what,
            "'Authorization: Bearer TOKEN'",
            remedy,
            status=401,
            issue="login",
            headers={"WWW-Authenticate": shown},
        )


class TooManyError(BorderError):
    """More than a client may send for now."""

    def __init__(self, what: str, expected: str, seconds: int) -> None:
        super().__init__(
            "request",
            what,
            expected,
            f"Wait {seconds} s and send it again.",
            status=429,
            issue="throttled",
            headers={"Retry-After": str(seconds)},
        )


class SlowBodyError(BorderError):
    """A body that comes too slowly."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "request body",
            "it came too slowly",
            f"the next part within {seconds:g} seconds",
            "Send it again over a better line, or in parts.",
            status=408,
            issue="timeout",
            headers={"Connection": "close"},
        )
