"""A study → one document, and the lines of a bulk request.

A document holds the codes of its sites and of everything above them, former codes included: a
search for any code is then one look-up of one term, and finds what ``bodysite:below`` finds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from api.codes import ANNOTATION, LOINC
from api.jobs.snapshot import Past
from api.profiles.names import EXAMINED_SITE
from api.search_documents.names import SiteNames
from api.store.rows import instant
from terminology.concept import DICOM, SNOMED, Laterality
from terminology.errors import IdentifierError, UnknownConceptError

_STUDY_UID: Final = "urn:dicom:uid"
_OID: Final = "urn:oid:"
_NOT_SAID: Final = frozenset({"entered-in-error", "cancelled"})
# PS3.16 TID 1602, as `api.codes` has them: what a component of an Observation says.
_LATERALITY: Final = (DICOM, "111027")
_VIEW: Final = (DICOM, "111031")
_EXAMINED: Final = (LOINC, "39111-0")
_VISIBLE: Final = (ANNOTATION, "visible")
_NEEDED: Final = (ANNOTATION, "review-needed")
_SIDES: Final = {side.coding.code: str(side) for side in Laterality}

Json = Mapping[str, Any]


class StudyDocuments:
    """Makes documents with the names and the hierarchy of a terminology.

    `languages` are those of the names, all by default.
    """

    def __init__(self, names: SiteNames, languages: Collection[str] = ()) -> None:
        self._names = names
        self._languages = frozenset(languages)
        self._above: dict[str, tuple[str, ...]] = {}
        self._named: dict[str, dict[str, list[str]]] = {}

    def document(self, study: Past, observations: Iterable[Json]) -> dict[str, Any]:
        """Return the document of an ImagingStudy with the Observations of it.

        What is not known is left out. Identifiers and dates are as the PHI policy left them.
        """
        content = json.loads(study.body)
        said = [one for one in observations if one.get("status") not in _NOT_SAID]
        examined = [one for one in said if _EXAMINED in _codes(one.get("code"))]
        visible = [one for one in said if _VISIBLE in _codes(one.get("code"))]
        series = [_series(one) for one in content.get("series", ())]
        sites = _sites(content, examined)
        shown = _unique(
            code
            for one in visible
            for part in one.get("component", ())
            for code in _snomed(part.get("code"))
        )
        views = _components(examined, _VIEW) | {
            coding["code"]: coding.get("display", "")
            for one in content.get("series", ())
            for coding in _projections(one)
        }
        sides = [
            *(_SIDES.get(code, code) for code in _components(examined, _LATERALITY)),
            *(one["laterality"] for one in series if "laterality" in one),
        ]
        subject = content.get("subject", {})
        document = {
            "id": study.id,
            "version": study.version_id,
            "updated": instant(study.last_updated),
            "status": content.get("status"),
            "study_uid": _unique(
                one["value"].removeprefix(_OID)
                for one in content.get("identifier", ())
                if one.get("system") == _STUDY_UID and one.get("value")
            ),
            "identifier": _unique(map(_token, content.get("identifier", ()))),
            "patient": _unique(
                [subject.get("reference", ""), _token(subject.get("identifier", {}))]
            ),
            "started": content.get("started"),
            "modality": _unique(
                one["code"] for one in content.get("modality", ()) if "code" in one
            ),
            "sites": [{"code": code, "display": display} for code, display in sites.items()],
            "site": list(sites),
            "site_and_above": self._and_above(sites),
            "names": self._names_of(sites),
            "visible": shown,
            "visible_and_above": self._and_above(shown),
            "visible_names": self._names_of(shown),
            "laterality": _unique(sides),
            "view": list(views),
            "review": any(_NEEDED in _codes(meant) for one in examined for meant in _meant(one)),
            "series_count": content.get("numberOfSeries"),
            "instance_count": content.get("numberOfInstances"),
            "series": series,
            "text": _words(content, sites, views),
        }
        return {key: value for key, value in document.items() if value not in (None, "", [], {})}

    def _and_above(self, codes: Iterable[str]) -> list[str]:
        return _unique(above for code in codes for above in self._of(code))

    def _of(self, code: str) -> tuple[str, ...]:
        """Return every code that a search for it or anything in it finds `code` by."""
        known = self._above.get(code)
        if known is None:
            try:
                known = (code, *sorted(self._names.graph.above_set(code) - {code}))
            except (IdentifierError, UnknownConceptError):
                known = (code,)
            self._above[code] = known
        return known

    def _names_of(self, codes: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for code in codes:
            for language, names in self._names_of_one(code).items():
                found[language] = _unique((*found.get(language, ()), *names))
        return found

    def _names_of_one(self, code: str) -> dict[str, list[str]]:
        known = self._named.get(code)
        if known is None:
            known = self._named[code] = {
                language: names
                for language, names in self._names.of(code).items()
                if not self._languages or language in self._languages
            }
        return known


def bulk_lines(index: str, study: Past, document: Json | None) -> Iterator[str]:
    """Yield the lines of a bulk request for a study: an action, and its document unless deleted.

    The version goes along, so that an older document that arrives late changes nothing.
    """
    action = "delete" if document is None else "index"
    where = {
        "_index": index,
        "_id": study.id,
        "version": study.version_id,
        "version_type": "external_gte",
    }
    yield json.dumps({action: where}, separators=(",", ":"))
    if document is not None:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        # Half a surrogate pair, which UTF-8 cannot hold, becomes "?".
        yield text.encode("utf-8", "replace").decode()


def _sites(content: Json, examined: Sequence[Json]) -> dict[str, str]:
    """Return the examined sites, code → display: of the study, its series, its Observations."""
    concepts = [
        *(
            one.get("valueCodeableConcept")
            for one in content.get("extension", ())
            if one.get("url") == EXAMINED_SITE
        ),
        *({"coding": [one["bodySite"]]} for one in content.get("series", ()) if "bodySite" in one),
        *(one.get("bodySite") for one in examined),
    ]
    found: dict[str, str] = {}
    for concept in concepts:
        for coding in _codings(concept):
            if coding.get("system") == SNOMED and coding.get("code"):
                found.setdefault(coding["code"], coding.get("display", ""))
    return found


def _series(content: Json) -> dict[str, Any]:
    found = {
        "uid": content.get("uid"),
        "modality": content.get("modality", {}).get("code"),
        "site": content.get("bodySite", {}).get("code"),
        "laterality": _SIDES.get(content.get("laterality", {}).get("code", "")),
        "instances": content.get("numberOfInstances"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _projections(series: Json) -> Iterator[Json]:
    """Yield the codings of the view that a series has as an extension."""
    for outer in series.get("extension", ()):
        for inner in outer.get("extension", ()):
            if inner.get("url") == "viewPosition":
                yield from (
                    one for one in _codings(inner.get("valueCodeableConcept")) if one.get("code")
                )


def _components(observations: Iterable[Json], asked: tuple[str, str]) -> dict[str, str]:
    """Return what components of that meaning say, code → display."""
    return {
        coding["code"]: coding.get("display", "")
        for one in observations
        for part in one.get("component", ())
        if asked in _codes(part.get("code"))
        for coding in _codings(part.get("valueCodeableConcept"))
        if coding.get("code")
    }


def _meant(observation: Json) -> Sequence[Json]:
    interpretation: Sequence[Json] = observation.get("interpretation", ())
    return interpretation


def _codings(concept: Json | None) -> Sequence[Json]:
    codings: Sequence[Json] = (concept or {}).get("coding", ())
    return codings


def _codes(concept: Json | None) -> set[tuple[str, str]]:
    return {(one.get("system", ""), one.get("code", "")) for one in _codings(concept)}


def _snomed(concept: Json | None) -> Iterator[str]:
    for system, code in sorted(_codes(concept)):
        if system == SNOMED:
            yield code


def _token(identifier: Json) -> str:
    value = identifier.get("value")
    return f"{identifier.get('system', '')}|{value}" if value else ""


def _words(content: Json, sites: Json, views: Json) -> str:
    """Return what a person would read of the study, in one text."""
    notes = (one.get("text", "") for one in content.get("note", ()))
    modalities = (one.get("display", "") for one in content.get("modality", ()))
    texts = (content.get("description", ""), *modalities, *sites.values(), *views.values(), *notes)
    return "\n".join(_unique(texts))


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
