"""If-Match, If-None-Match and If-Modified-Since against a version that is there."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final

from api.errors import RequestError
from api.records import Stored

_TAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})"')


def etag(version_id: int) -> str:
    """Return the ETag of a version (FHIR R4, 3.1.0.1.3: a weak one)."""
    return f'W/"{version_id}"'


def names(tags: str, version_id: int) -> bool:
    """Return whether a header names a version, compared weakly (RFC 9110, 13.1.2)."""
    return tags.strip() == "*" or version_id in {int(one) for one in _TAG.findall(tags)}


def check_match(
    there: Stored | None, if_match: str | None, if_none_match: str | None = None
) -> None:
    """Refuse a change to another version than the client knows.

    Parameters
    ----------
    there
        What is there; a deleted resource is not.
    if_none_match
        ``*`` where there must be nothing yet.

    Raises
    ------
    RequestError
        412 (FHIR R4, 3.1.0.5).
    """
    live = there is not None and not there.deleted
    if if_match is not None and not (
        live and there is not None and names(if_match, there.version_id)
    ):
        raise _failed(
            "If-Match",
            "it does not name the version that is here",
            etag(there.version_id) if live and there is not None else "a resource that is here",
        )
    if if_none_match is None or not live or there is None:
        return
    if names(if_none_match, there.version_id):
        raise _failed("If-None-Match", "the resource is here already", "no such resource yet")


def is_known(there: Stored, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Return whether the client has this version already, so that 304 answers.

    RFC 9110, 13.1.3: with If-None-Match, If-Modified-Since says nothing; a bad date neither.
    """
    if if_none_match is not None:
        return names(if_none_match, there.version_id)
    if if_modified_since is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
        return there.last_updated.replace(microsecond=0) <= since
    except (TypeError, ValueError, IndexError):
        return False


def _failed(where: str, what: str, expected: str) -> RequestError:
    return RequestError(
        where, what, expected, "Read the resource and try again.", status=412, issue="conflict"
    )


def names_tag(tags: str | None, tag: str) -> bool:
    """Return whether If-None-Match names a tag that is no version number."""
    return tags is not None and (tags.strip() == "*" or tag.removeprefix("W/") in tags)
