"""The table of terminology operations: what runs each, where it is reached, what is said of it.

Routes, CapabilityStatement, help page and batch all read this one table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from api.errors import RequestError
from api.tx import closure as closures
from api.tx import translation
from api.tx.batch_validate import batch_validate
from api.tx.context import TxContext
from api.tx.expand import expand
from api.tx.lookup import lookup
from api.tx.r4 import resource_to_r4
from api.tx.resources_store import R4
from api.tx.service import TerminologyService
from api.tx.subsumes import subsumes
from api.tx.translate import translate
from api.tx.validate import validate_code_system_code, validate_value_set_code

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the parameters in R5 form, the context made of them, the service behind it."""

    parameters: Json
    context: TxContext
    service: TerminologyService


@dataclass(frozen=True, slots=True)
class Operation:
    """A terminology operation.

    Parameters
    ----------
    type
        The resource type it belongs to, empty for the system level.
    run
        Answers a call in R5 form.
    parameters
        Of the help page: name → meaning and example, which may be empty.
    instance
        What the resource of ``Type/id/$name`` becomes: the parameter that takes its url.
    inline
        Whether the parameter `instance` can take the resource itself as well, and under which name.
    quick
        Whether an answer may take microseconds, so that a thread for it would cost more than it.
    neighbours
        Whether the answer shows every child of a concept.
    changes
        Whether a call changes what is stored, so that GET, which must be safe, cannot be one.
    checks
        Whether resources that come along are validated first: what is wrong with them would go into
        the answer.
    strict
        Whether each coding needs a code.
    refused
        Parameters that would change the answer and are not supported: refused, not left out.
    r4
        Writes the answer as R4 has it, given the request.
    """

    type: str
    name: str
    run: Callable[[Call], Json]
    summary: str
    parameters: Mapping[str, tuple[str, str]]
    instance: str | None = None
    inline: str | None = None
    quick: bool = False
    neighbours: bool = False
    changes: bool = False
    checks: bool = False
    strict: bool = False
    refused: frozenset[str] = frozenset()
    r4: Callable[[Json, Json], Json] = lambda answer, _: resource_to_r4(answer)
    r5: Callable[[Json], Json] = lambda answer: answer

    @property
    def path(self) -> str:
        """The address at type level, or at system level, under the base."""
        return f"{self.type}/${self.name}" if self.type else f"${self.name}"

    def in_form(self, answer: Json, release: str, request: Json) -> Json:
        """Return the answer as the release of the endpoint has it."""
        return self.r4(answer, request) if release == R4 else self.r5(answer)


def _closure(call: Call) -> Json:
    library = call.service.library
    if library is None:
        raise RequestError(
            "$closure",
            "no database is kept here",
            "a service with a database",
            "Start it with --database.",
            status=501,
            issue="not-supported",
        )
    return closures.closure(call.parameters, call.context, library)


def _expand(call: Call) -> Json:
    """Expand; the pages of one expansion have one identifier."""
    found = expand(call.parameters, call.context)
    expansion = found.get("expansion")
    if expansion is not None:
        paging = {"count", "offset"}
        asked = [one for one in call.parameters["parameter"] if one["name"] not in paging]
        used = [one for one in expansion.get("parameter", ()) if one["name"] not in paging]
        key = json.dumps([asked, used, expansion.get("total")], sort_keys=True, default=str)
        expansion["identifier"] = uuid5(NAMESPACE_URL, key).urn
        if expansion.get("parameter") == []:
            # FHIR has no empty arrays.
            del expansion["parameter"]
    return found


def _batch(call: Call) -> Json:
    validations = [one for one in call.parameters["parameter"] if one["name"] == "validation"]
    if not validations or any(
        one.get("resource", {}).get("resourceType") != "Parameters" for one in validations
    ):
        raise RequestError(
            "$batch-validate-code validation",
            "the parameter is missing, or holds no Parameters resource",
            "validation, each with a Parameters resource",
            "Send the codes, each as one validation.",
            issue="required",
        )
    return batch_validate(call.parameters, call.context)


def _same(answer: Json, _request: Json) -> Json:
    """Return an answer that holds no resource, and so does not differ between the releases."""
    return answer


# What was in a value set on another day is not known here.
_NO_DATE: Final = frozenset({"date"})
_SNOMED: Final = ("The code system", "http://snomed.info/sct")
_HAND: Final = ("The code", "85562004")
_VERSION: Final = ("Another version than those that are loaded is refused", "")
_DISPLAY: Final = ("A term to check", "")
_LANGUAGE: Final = ("Languages wanted, as Accept-Language has them", "")
_VALUE_SET: Final = (
    "A value set held here, or ?fhir_vs, ?fhir_vs=isa/CODE, =refset/CODE, =ecl/EXPRESSION",
    "http://snomed.info/sct?fhir_vs=ecl/<< 85562004 MINUS << 7569003",
)
_TRANSLATED: Final = {
    "system": (
        "The system of the code (R5: sourceSystem); with SNOMED CT the way leads back",
        "https://w3id.org/bodysite/CodeSystem/irma-anatomy",
    ),
    "code": ("The code (R5: sourceCode), or the word of Body Part Examined", "414"),
    "version": ("The version of the code; without one, the newest that is mapped", ""),
    "targetsystem": ("Only this system (R5: targetSystem)", ""),
    "reverse": ("true looks for the code among the targets (R5: targetCode)", ""),
    "url": ("Only this ConceptMap", ""),
    "source": ("Only maps for this value set (R5: sourceScope)", ""),
    "target": ("Only maps into this value set (R5: targetScope)", ""),
    "field": ("Of a header word: the DICOM keyword that it stood in (or as dependency)", ""),
    "modality": ("Of a header word: the modality of the image (or as dependency)", ""),
}
OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "CodeSystem",
        "lookup",
        lambda call: lookup(call.parameters, call.context),
        "Terms, properties, parents, children, side and history of a concept",
        {
            "system": _SNOMED,
            "code": _HAND,
            "property": ("Only this property; may be repeated", ""),
            "version": _VERSION,
            "displayLanguage": _LANGUAGE,
        },
        instance="system",
        quick=True,
        neighbours=True,
        strict=True,
        r4=_same,
    ),
    Operation(
        "CodeSystem",
        "subsumes",
        lambda call: subsumes(call.parameters, call.context),
        "How code A stands to code B",
        {
            "system": _SNOMED,
            "codeA": ("The code that may be above", "53120007"),
            "codeB": ("The code that may be below", "85562004"),
            "version": _VERSION,
        },
        instance="system",
        quick=True,
        strict=True,
        r4=_same,
    ),
    Operation(
        "CodeSystem",
        "validate-code",
        lambda call: validate_code_system_code(call.parameters, call.context),
        "Whether a code is in the code system",
        {
            "url": _SNOMED,
            "code": _HAND,
            "display": _DISPLAY,
            "version": _VERSION,
            "displayLanguage": _LANGUAGE,
        },
        instance="url",
        inline="codeSystem",
        quick=True,
        refused=_NO_DATE,
    ),
    Operation(
        "CodeSystem",
        "batch-validate-code",
        _batch,
        "Whether codes are in code systems, many in one call",
        {},
    ),
    Operation(
        "ValueSet",
        "validate-code",
        lambda call: validate_value_set_code(call.parameters, call.context),
        "Whether a code is in a value set",
        {
            "url": _VALUE_SET,
            "system": _SNOMED,
            "code": _HAND,
            "display": _DISPLAY,
            "displayLanguage": _LANGUAGE,
        },
        instance="url",
        inline="valueSet",
        refused=_NO_DATE,
    ),
    Operation(
        "ValueSet",
        "batch-validate-code",
        _batch,
        "Whether codes are in value sets, many in one call",
        {},
    ),
    Operation(
        "ValueSet",
        "expand",
        _expand,
        "The concepts of a value set",
        {
            "url": _VALUE_SET,
            "filter": ("Words or their beginnings", ""),
            "count": ("Size of the page", "20"),
            "offset": ("Concepts to pass over", "0"),
            "activeOnly": ("true leaves out inactive concepts", ""),
            "includeDesignations": ("true adds the other names", ""),
            "displayLanguage": _LANGUAGE,
            "property": ("Adds this property; may be repeated", ""),
        },
        instance="url",
        inline="valueSet",
        refused=frozenset({"context", "contextDirection", "date"}),
    ),
    Operation(
        "ConceptMap",
        "translate",
        lambda call: translate(call.parameters, call.context),
        "From a code of one system to another: crosswalks, a site's maps, reference sets",
        _TRANSLATED,
        instance="url",
        inline="conceptMap",
        checks=True,
        strict=True,
        r4=translation.to_r4,
        r5=translation.to_r5,
    ),
    Operation(
        "",
        "closure",
        _closure,
        "Keep a client's closure table: the new entries that a concept brings",
        {},
        changes=True,
        r4=lambda answer, _: closures.to_r4(resource_to_r4(answer)),
    ),
)
BY_PATH: Final = {(one.type, one.name): one for one in OPERATIONS}
