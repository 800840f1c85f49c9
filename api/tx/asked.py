"""What $lookup and $subsumes ask about: a code, its code system, the concept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from api.errors import RequestError
from api.tx.context import TxContext
from api.tx.errors import TxError
from api.tx.issues import Issue
from api.tx.messages import issue
from api.tx.parameters import Parameters
from api.tx.provider import CodeSystemProvider, Concept
from api.tx.snomed_editions import Edition
from api.tx.systems import Systems
from terminology.concept import SNOMED
from terminology.identifiers import check_sctid

# FHIR's date and dateTime: a year, a month, a day, or more.
_DATE: Final = re.compile(r"\d{4}(-\d{2}(-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class AskedCode:
    """A code and the code system, and version, that it is to be looked for in."""

    system: str
    code: str
    version: str | None = None


def asked_code(asked: Parameters, operation: str) -> AskedCode:
    """Return the code that `coding`, `codeableConcept`, or `code` with `system` name.

    Raises
    ------
    RequestError
        The code or the system is missing.
    """
    coding = asked.value("coding")
    concept = asked.value("codeableConcept")
    if coding is None and isinstance(concept, Mapping) and concept.get("coding"):
        coding = concept["coding"][0]
    if isinstance(coding, Mapping):
        return of_coding(coding, operation, "coding", asked.text("version"))
    system, code = asked.text("system"), asked.text("code")
    if not code:
        raise missing(operation, "code", "code and system, or coding")
    if not system:
        raise missing(operation, "system", "code and system, or coding")
    return AskedCode(system, code, asked.text("version"))


def of_coding(
    coding: Mapping[str, Any], operation: str, name: str, version: str | None
) -> AskedCode:
    """Return the code of a Coding; `version` is what the request says beside it.

    Raises
    ------
    RequestError
        The Coding has no code or no system.
    """
    for field in ("system", "code"):
        if not coding.get(field):
            raise missing(operation, f"{name}.{field}", "a Coding with system and code")
    return AskedCode(coding["system"], coding["code"], coding.get("version") or version)


def missing(operation: str, name: str, expected: str) -> RequestError:
    """Return the refusal of a request without a parameter that it needs."""
    return RequestError(
        f"{operation} {name}", "it is missing", expected, f"Send '{name}'.", issue="required"
    )


def resolved(
    asked: AskedCode, context: TxContext, *, date: str | None = None
) -> CodeSystemProvider:
    """Return the code system of a code, with the supplements that the request wants.

    Parameters
    ----------
    date
        Where no version is asked for, the newest one that was published until then answers.

    Raises
    ------
    TxError
        404: it is not here in that version, or of that date. 422: a supplement is missing.
    RequestError
        `date` is none.
    """
    systems = Systems(context)
    version = systems.version_for(asked.system, asked.version)
    if version is None and date is not None:
        version = _version_at(date, asked.system, context)
    provider = systems.find(asked.system, version, ruled=False)
    if provider is None:
        raise TxError(systems.unknown(asked.system, version, at="system"), status=404)
    wrong = systems.check(provider)
    if wrong is not None:
        raise TxError(wrong, status=400)
    systems.require_supplements()
    return provider


def _version_at(date: str, url: str, context: TxContext) -> str | None:
    """Return the newest version that is not younger than `date`, `None` where none has a date."""
    if not _DATE.fullmatch(date):
        raise RequestError(
            "date",
            f"'{date[:40]}' is no date",
            "a date as FHIR has it",
            "Correct it.",
            issue="value",
        )
    dated = [(found, p.version) for p in context.code_systems(url) if (found := _date_of(p))]
    fitting = [pair for pair in dated if pair[0] <= date[: len(pair[0])]]
    if dated and not fitting:
        text = f"No version of the code system '{url}' that is here was published until {date}"
        raise TxError(Issue("error", "not-found", "not-found", text, None, ("date",)), status=404)
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _date_of(provider: CodeSystemProvider) -> str | None:
    """Return the day on which a version was published."""
    dated = Edition.parse(provider.version or "").iso_date or provider.metadata.get("date")
    return str(dated)[:10] if dated else None


def known_concept(provider: CodeSystemProvider, code: str, where: str) -> Concept:
    """Return the concept of `code`.

    Raises
    ------
    IdentifierError
        A number for SNOMED CT that is no SCTID of a concept.
    TxError
        404: the code system has no such code.
    """
    found = provider.find(code)
    if found is not None:
        return found
    if provider.url == SNOMED and code.isascii() and code.isalnum():
        check_sctid(code, where)
    version, label, reason = provider.version, provider.version_label, provider.why_unknown(code)
    name = "Unknown_Code_in_Version" if version else "Unknown_Code_in"
    at = where.rpartition(" ")[2]
    told = issue("error", "not-found", "invalid-code", name, code, provider.url, version, at=at)
    text = f"{told.text} ({label})" if label else told.text
    raise TxError(replace(told, text=f"{text}. {reason}" if reason else text), status=404)
