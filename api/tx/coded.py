"""What a $validate-code request wants validated, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.tx.context import TxContext
from api.tx.errors import TxError
from api.tx.issues import Issue, operation_outcome
from api.tx.messages import issue
from api.tx.parameters import Parameters, parameter, parameters, resource_parameter
from api.tx.provider import Json
from api.tx.shape import require_shape
from api.tx.systems import Systems
from api.tx.versions import join_canonical

_NO_CODE: Final = (
    "Unable to find code to validate (looked for coding | codeableConcept | code+system |"
    " code+inferSystem in parameters"
)


@dataclass(frozen=True, slots=True)
class Coded:
    """What is to be validated, in the form it came in.

    Parameters
    ----------
    mode
        code, coding or codeableConcept.
    concept
        A CodeableConcept; with one coding where the request had a code or a Coding.
    """

    mode: str
    concept: Json

    @property
    def codings(self) -> list[Mapping[str, Any]]:
        """The codings."""
        return self.concept.get("coding") or []

    def path(self, number: int) -> str:
        """Return the FHIRPath of one of the codings."""
        if self.mode == "codeableConcept":
            return f"CodeableConcept.coding[{number}]"
        return "Coding" if self.mode == "coding" else ""


def coded_in(asked: Parameters, system: str, version: str, *, status: int) -> Coded:
    """Return what a request wants validated.

    Parameters
    ----------
    system, version
        The names of the parameters that go with a plain `code`.
    status
        The HTTP status of a request that names no code.

    Raises
    ------
    TxError
        The request names no code, or one without a system where none may be inferred.
    """
    concept = asked.value("codeableConcept")
    if isinstance(concept, dict):
        require_shape(concept, "CodeableConcept", "codeableConcept")
        return Coded("codeableConcept", concept)
    coding = asked.value("coding")
    if isinstance(coding, dict):
        require_shape(coding, "Coding", "coding")
        return Coded("coding", {"coding": [coding]})
    code = asked.text("code")
    url = asked.text(system) or asked.text("system")
    if not code or (not url and "inferSystem" not in asked):
        raise TxError(Issue("error", "invalid", None, _NO_CODE), status=status)
    plain = {
        "code": code,
        "system": url,
        "version": asked.text(version),
        "display": asked.text("display"),
    }
    return Coded("code", {"coding": [{k: v for k, v in plain.items() if v}]})


def code_system_asked(asked: Parameters, coded: Coded) -> tuple[str, str | None]:
    """Return url and version of the code system that a request is about."""
    url = asked.text("url")
    if url:
        return url, asked.text("version")
    coding = coded.codings[0] if coded.codings else {}
    return str(coding.get("system", "")), asked.text("version") or coding.get("version")


def why_not_in_system(
    url: str, version: str | None, coded: Coded, systems: Systems, context: TxContext
) -> tuple[list[Issue], str | None]:
    """Return why there is no code system to validate in, and the canonical that is unknown."""
    path = coded.path(0)
    if not url:
        name = "Coding_has_no_system__cannot_validate"
        return [issue("warning", "invalid", "invalid-data", name, at=path or "code")], None
    at = f"{path}.system" if path else "system"
    found, unknown = why_no_system(url, version, systems, context, at)
    if ":" in url:
        return [found], unknown
    name = "Terminology_TX_System_Relative"
    return [found, issue("error", "invalid", "invalid-data", name, at=at)], unknown


def why_no_system(
    url: str, version: str | None, systems: Systems, context: TxContext, at: str
) -> tuple[Issue, str | None]:
    """Return the issue that there is no such code system, and its canonical if it is unknown."""
    if context.value_set(url) is not None:
        name = "Terminology_TX_System_ValueSet2"
        return issue("error", "invalid", "invalid-data", name, url, at=at), None
    supplement = systems.supplement(url)
    if supplement is not None:
        name = "CODESYSTEM_CS_NO_SUPPLEMENT"
        return issue("error", "invalid", "invalid-data", name, supplement, at=at), None
    known = systems.versions(url)
    unknown = join_canonical(url, version if known else None)
    return systems.unknown(url, version, at=at), unknown


def refused(coded: Coded, systems: Systems, issues: list[Issue], unknown: str | None) -> Json:
    """Return the answer where validation could not begin."""
    entries: list[Json] = [
        parameter("result", "boolean", False),
        parameter("message", "string", issues[0].text),
        resource_parameter("issues", operation_outcome(issues)),
    ]
    if coded.mode == "codeableConcept":
        entries.append(parameter("codeableConcept", "CodeableConcept", coded.concept))
    elif coded.codings:
        coding = coded.codings[0]
        system, version = coding.get("system"), coding.get("version")
        if system:
            entries.append(parameter("system", "uri", system))
            provider = systems.find(system, version)
            version = version or (provider.version if provider is not None else None)
        if version:
            entries.append(parameter("version", "string", version))
        if coding.get("code"):
            entries.append(parameter("code", "code", coding["code"]))
    if unknown:
        entries.append(parameter("x-caused-by-unknown-system", "canonical", unknown))
    return parameters(*entries)
