"""What a client wants to be answered in, what it sends, and how much it wants to hear.

FHIR R4, 3.1.0.1.10 to 3.1.0.1.12 and 3.1.0.1.8; R5 has the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl

from api.errors import RequestError
from api.tx.resources_store import R4, R5

FHIR_JSON: Final = "application/fhir+json"
JSON_PATCH: Final = "application/json-patch+json"
FORM: Final = "application/x-www-form-urlencoded"
JSON_TYPES: Final = (FHIR_JSON, "application/json")
_ACCEPTED: Final = frozenset({*JSON_TYPES, "text/json", "application/*", "*/*", "json"})
# FHIR R5, 2.1.0.7: the version as MAJOR.MINOR.
VERSIONS: Final[Mapping[str, str]] = {R4: "4.0", R5: "5.0"}
_MAX_SHOWN: Final = 100
_RETURN: Final = re.compile(r"(?:^|[;,\s])return\s*=\s*\"?(\w+)", re.IGNORECASE)
_STRICT: Final = re.compile(r"(?:^|[;,\s])handling\s*=\s*\"?strict", re.IGNORECASE)


class Return(StrEnum):
    """What a client wants to see after a write: `Prefer: return=…`."""

    MINIMAL = "minimal"
    REPRESENTATION = "representation"
    OUTCOME = "OperationOutcome"


def returning(prefer: str | None) -> Return:
    """Return the wish of a `Prefer` header; the resource where none is known."""
    match = _RETURN.search(prefer or "")
    for one in Return:
        if match is not None and match.group(1).lower() == one.lower():
            return one
    return Return.REPRESENTATION


def is_strict(prefer: str | None) -> bool:
    """Return whether unknown search parameters are to be refused."""
    return bool(_STRICT.search(prefer or ""))


def is_pretty(query: Iterable[tuple[str, str]]) -> bool:
    """Return whether JSON is to be laid out for a person to read."""
    return any(name == "_pretty" and value == "true" for name, value in query)


def unacceptable(query_string: bytes, accept: str | None, release: str | None) -> str | None:
    """Return the format that was asked for and cannot be had, else `None`.

    `_format` wins over Accept (FHIR R4, 3.1.0.1.10); a "+" that was not encoded is a space.

    Parameters
    ----------
    release
        The release of the address; `None` where it has none, so that no `fhirVersion` is right.
    """
    formats = dict(parse_qsl(query_string.decode("latin-1"))) if b"_format" in query_string else {}
    asked = formats.get("_format") or accept or "*/*"
    if asked == FHIR_JSON:
        return None
    for part in asked.split(","):
        media, parameters = _media(part)
        version = parameters.get("fhirversion")
        if parameters.get("q") in {"0", "0.0", "0.00", "0.000"}:
            continue
        if media in _ACCEPTED and (version is None or is_version(version, release)):
            return None
    return asked[:_MAX_SHOWN]


def check_sent(content_type: str, release: str, accepted: Iterable[str] = JSON_TYPES) -> None:
    """Refuse, with 415, a body of another media type, FHIR version or character set."""
    media, parameters = _media(content_type)
    accepted = tuple(accepted)
    if media not in accepted:
        raise _unsupported(
            f"'{media[:_MAX_SHOWN]}' is not accepted" if media else "the header is missing",
            " or ".join(accepted),
        )
    version = parameters.get("fhirversion")
    if version is not None and not is_version(version, release):
        raise _unsupported(
            "fhirVersion is not the one of this address",
            f"fhirVersion={VERSIONS[release]} below /{release.lower()}",
        )
    charset = parameters.get("charset", "utf-8")
    if charset.lower().replace("_", "-") not in {"utf-8", "utf8", "us-ascii"}:
        raise _unsupported("the character set is not accepted", "charset=utf-8")


def is_version(text: str, release: str | None) -> bool:
    """Return whether a `fhirVersion` is that of a release; its patch version does not count."""
    wanted = VERSIONS.get(release or "")
    return wanted is not None and (text == wanted or text.startswith(f"{wanted}."))


def _media(text: str) -> tuple[str, dict[str, str]]:
    """Return the media type and the parameters of a header, in lower case."""
    media, *rest = text.split(";")
    parameters = {}
    for one in rest:
        name, _, value = one.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return media.strip().lower().replace(" ", "+"), parameters


def _unsupported(what: str, expected: str) -> RequestError:
    return RequestError(
        "Content-Type",
        what,
        expected,
        "Send a resource in JSON.",
        status=415,
        issue="not-supported",
    )
