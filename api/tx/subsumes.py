"""CodeSystem/$subsumes: how two codes of one code system stand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.errors import RequestError
from api.tx.asked import AskedCode, known_concept, missing, of_coding, resolved
from api.tx.context import TxContext
from api.tx.errors import TxError
from api.tx.issues import Issue
from api.tx.parameters import Parameters, parameter, parameters
from api.tx.provider import CodeSystemProvider, Concept
from api.tx.snomed import SnomedProvider
from api.tx.supplements import SupplementedProvider

Json = dict[str, Any]
_OPERATION: Final = "CodeSystem/$subsumes"
_EXPECTED: Final = "codeA, codeB and system, or codingA and codingB"


def subsumes(request: Json, context: TxContext) -> Json:
    """Return the outcome: equivalent, subsumes (A is above B), subsumed-by or not-subsumed.

    Parameters
    ----------
    request
        A Parameters resource: codeA, codeB and system, or codingA and codingB; version.

    Raises
    ------
    TxError
        The code system, its version or a code is not here.
    RequestError, IdentifierError
        A parameter is missing, the codes are of two code systems, or a code cannot be one.
    """
    asked = Parameters.of(request)
    first, second = _side(asked, "A"), _side(asked, "B")
    if first.system != second.system:
        raise _mixed("system", f"'{first.system}' and '{second.system}'", "one code system")
    if first.version != second.version and first.version and second.version:
        raise _mixed("version", f"'{first.version}' and '{second.version}'", "one version")
    found = AskedCode(first.system, first.code, first.version or second.version)
    provider = resolved(found, context)
    a = known_concept(provider, first.code, f"{_OPERATION} codeA")
    b = known_concept(provider, second.code, f"{_OPERATION} codeB")
    return parameters(parameter("outcome", "code", outcome(provider, a, b)))


def outcome(provider: CodeSystemProvider, a: Concept, b: Concept) -> str:
    """Return how two concepts of a code system stand to each other, in FHIR's words."""
    base = provider.base if isinstance(provider, SupplementedProvider) else provider
    if isinstance(base, SnomedProvider):
        return base.compare(a, b)
    if a.code == b.code:
        return "equivalent"
    if base.subsumes(a, b):
        return "subsumes"
    return "subsumed-by" if base.subsumes(b, a) else "not-subsumed"


def _side(asked: Parameters, side: str) -> AskedCode:
    version = asked.text("version")
    coding = asked.value(f"coding{side}")
    if isinstance(coding, Mapping):
        if not coding.get("system"):
            raise _no_system(f"coding{side}.system")
        return of_coding(coding, _OPERATION, f"coding{side}", version)
    code = asked.text(f"code{side}")
    if not code:
        raise missing(_OPERATION, f"code{side}", _EXPECTED)
    system = asked.text("system")
    if not system:
        raise _no_system("system")
    return AskedCode(system, code, version)


def _no_system(at: str) -> TxError:
    text = f"No code system was provided, so the subsumption cannot be tested: {at} is missing"
    return TxError(
        Issue("error", "invalid", "invalid-data", text, "SUBSUMPTION_NO_SYSTEM", (at,)), status=400
    )


def _mixed(name: str, what: str, expected: str) -> RequestError:
    return RequestError(
        f"{_OPERATION} {name}",
        what,
        f"both codes of {expected}",
        "Translate one of them first: ConceptMap/$translate.",
    )
