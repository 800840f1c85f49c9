"""The name of a concept that an answer shows."""

from __future__ import annotations

from collections.abc import Sequence

from api.tx.languages import LanguagePreference, first_in, is_display
from api.tx.provider import CodeSystemProvider, Concept, Designation


def shown_designation(
    provider: CodeSystemProvider,
    concept: Concept,
    designations: Sequence[Designation],
    languages: LanguagePreference,
) -> Designation | None:
    """Return the name to show in the wanted languages, else the code system's display.

    Parameters
    ----------
    designations
        Every name in question: those of the code system and those that a value set adds.
    languages
        Where it refuses other languages, a concept without a name in one of its own has none.
    """
    if languages.tags:
        found = provider.preferred(concept, languages.tags)
        found = found or first_in(designations, languages.tags)
        if found is not None or languages.only:
            return found
    display = provider.display(concept)
    for designation in designations:
        if designation.value == display and is_display(designation):
            return designation
    if display:
        return Designation(display, provider.language)
    return next((d for d in designations if is_display(d)), None)
