"""Method and path → what a client must be allowed to."""

from __future__ import annotations

import pytest

from api.security.access import EVERYTHING, Access

OPEN = Access()
SCOPED = Access(terminology_scopes=True)
ANNOTATE = {"c ImagingStudy", "u ImagingStudy", "c Observation", "u Observation"}


def needs(method: str, path: str, access: Access = OPEN, *, conditional: bool = False) -> set[str]:
    found = access.needs(method, path, conditional=conditional)
    return {f"{letter} {kind}" for letter, kind in found}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/r4/ImagingStudy/1", {"r ImagingStudy"}),
        ("HEAD", "/r4/ImagingStudy/1", {"r ImagingStudy"}),
        ("GET", "/r4/ImagingStudy/1/_history", {"r ImagingStudy"}),
        ("GET", "/r5/ImagingStudy/1/_history/2", {"r ImagingStudy"}),
        ("GET", "/r4/ImagingStudy", {"s ImagingStudy"}),
        ("GET", "/r4/ImagingStudy/", {"s ImagingStudy"}),
        ("POST", "/r4/ImagingStudy/_search", {"s ImagingStudy"}),
        ("GET", "/r4/ImagingStudy/_history", {"s ImagingStudy"}),
        ("GET", "/r4/_history", {"s *"}),
        ("GET", "/r4", set()),
        ("POST", "/r4/_search", set()),
        ("POST", "/r4/Observation", {"c Observation"}),
        ("PUT", "/r4/Observation/1", {"u Observation"}),
        ("PATCH", "/r4/Observation/1", {"u Observation"}),
        ("DELETE", "/r4/Observation/1", {"d Observation"}),
        ("PUT", "/r4/Observation", {"u Observation", "c Observation", "s Observation"}),
        ("DELETE", "/r4/Observation", {"d Observation", "s Observation"}),
        ("POST", "/r4/ImagingStudy/$annotate", ANNOTATE),
        ("POST", "/r5/ImagingStudy/$annotate", ANNOTATE),
        ("POST", "/r4", set()),
        ("GET", "/r4/$export", set()),
        ("GET", "/r4/Patient/$export", set()),
        ("GET", "/r4/_jobs/1", set()),
        ("GET", "/r4/metadata", set()),
        ("GET", "/r4/.well-known/smart-configuration", set()),
        ("GET", "/r4/StructureDefinition/x", set()),
        ("GET", "/r4/CodeSystem/$lookup", set()),
        ("POST", "/r4/ValueSet/x/$expand", set()),
        ("POST", "/r4/CodeSystem", {"c CodeSystem"}),
        ("PUT", "/r4/ValueSet/x", {"u ValueSet"}),
        ("DELETE", "/r4/ConceptMap/x", {"d ConceptMap"}),
        ("GET", "/health", set()),
        ("GET", "/docs", set()),
    ],
)
def test_a_request_needs(method: str, path: str, expected: set[str]) -> None:
    assert needs(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/r4/Observation/$lastn"),
        ("GET", "/r4/$everything"),
        ("GET", "/r4/ImagingStudy/1/Observation"),
        ("POST", "/r4/ImagingStudy/1"),
        ("GET", "/r4/lower"),
        ("PUT", "/r4/StructureDefinition"),
        ("TRACE", "/r4/ImagingStudy"),
    ],
)
def test_what_is_not_known_needs_everything(method: str, path: str) -> None:
    actual = set(OPEN.needs(method, path))
    assert actual == set(EVERYTHING) or any(letter in "cud" for letter, _ in actual)


def test_terminology_takes_scopes_where_the_settings_say_so() -> None:
    assert needs("GET", "/r4/CodeSystem/$lookup", SCOPED) == {"r CodeSystem", "s CodeSystem"}
    assert needs("POST", "/r4/ValueSet/$expand", SCOPED) == {"r ValueSet", "s ValueSet"}
    assert needs("POST", "/r4/$closure", SCOPED) == {"r ConceptMap", "s ConceptMap"}


def test_a_conditional_create_may_find_what_is_there() -> None:
    found = needs("POST", "/r4/Patient", conditional=True)
    assert found == {"c Patient", "s Patient"}
