"""The few code systems of FHIR itself that value sets about people and resources refer to.

Their version is that of FHIR, so that an endpoint of each FHIR version has its own.
"""

from __future__ import annotations

from typing import Any, Final

_CODES: Final[dict[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "administrative-gender": (
        "AdministrativeGender",
        (("male", "Male"), ("female", "Female"), ("other", "Other"), ("unknown", "Unknown")),
    ),
    "publication-status": (
        "PublicationStatus",
        (
            ("draft", "Draft"),
            ("active", "Active"),
            ("retired", "Retired"),
            ("unknown", "Unknown"),
        ),
    ),
}


def core_resources(fhir_version: str) -> list[dict[str, Any]]:
    """Return the CodeSystem and ValueSet resources of FHIR ``4.0.1``, ``5.0.0``."""
    found: list[dict[str, Any]] = []
    for name, (title, codes) in _CODES.items():
        system = f"http://hl7.org/fhir/{name}"
        value_set = f"http://hl7.org/fhir/ValueSet/{name}"
        header = {
            "id": name,
            "version": fhir_version,
            "name": title,
            "title": title,
            "status": "active",
            "experimental": False,
        }
        found.append(
            {
                "resourceType": "CodeSystem",
                **header,
                "language": "en",
                "url": system,
                "caseSensitive": True,
                "valueSet": value_set,
                "content": "complete",
                "concept": [{"code": code, "display": display} for code, display in codes],
            }
        )
        found.append(
            {
                "resourceType": "ValueSet",
                **header,
                "url": value_set,
                "compose": {"include": [{"system": system}]},
            }
        )
    return found
