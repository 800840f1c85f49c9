"""JSON Patch (RFC 6902) on a resource."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import jsonpatch
import jsonpointer

from api.errors import RequestError
from api.rest.content import check_values, dump, parse_json

Json = dict[str, Any]
_MAX_OPERATIONS: Final = 1000
_MAX_COPIES: Final = 20
_MAX_CHARACTERS: Final = 4 << 20
_FAILURES: Final = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
_KNOWN_BY: Final = frozenset({"", "/id", "/resourceType"})


def patched(resource: Json, body: bytes | Any, kind: str) -> Json:
    """Return what a patch makes of `resource`, which stays as it is.

    Parameters
    ----------
    body
        The bytes of a JSON Patch, or its list of operations.

    Raises
    ------
    RequestError
        400: no JSON Patch; 422: it cannot be applied, a `test` of it fails, or what comes of it is
        no resource of this type any more.
    """
    operations = parse_json(body) if isinstance(body, bytes) else body
    if not isinstance(operations, list) or len(operations) > _MAX_OPERATIONS:
        raise _malformed("the body is no list of operations, or has too many")
    for number, one in enumerate(operations):
        if not isinstance(one, dict):
            raise _malformed(f"operation {number} is no object")
        if str(one.get("path")) in _KNOWN_BY and one.get("op") != "test":
            raise _malformed(f"operation {number} changes what the resource is known by")
    if sum(one.get("op") == "copy" for one in operations) > _MAX_COPIES:
        raise _malformed(f"there are more than {_MAX_COPIES} copies")
    found: Any = deepcopy(resource)
    try:
        for one in operations:
            found = jsonpatch.JsonPatch([one]).apply(found, in_place=True)
            # Each copy can double what is there.
            if one.get("op") == "copy" and len(dump({"": found})) > _MAX_CHARACTERS:
                raise _malformed("what the patch makes of the resource is too large")
    except jsonpatch.InvalidJsonPatch as error:
        raise _malformed("an operation is none") from error
    except _FAILURES as error:
        raise _inapplicable() from error
    if not isinstance(found, dict) or found.get("resourceType") != kind:
        raise _inapplicable()
    check_values(found)
    return found


def _malformed(what: str) -> RequestError:
    return RequestError(
        "request body",
        what,
        "a JSON Patch (RFC 6902): a list of objects with op, path and value",
        "Correct the patch.",
        issue="structure",
    )


def _inapplicable() -> RequestError:
    return RequestError(
        "request body",
        "the patch cannot be applied: a path is not there, a value is of another type, or a test"
        " fails",
        "a patch of the resource as it is now",
        "Read the resource and make the patch of that.",
        status=422,
        issue="processing",
    )
