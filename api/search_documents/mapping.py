"""The mapping of an index of studies, and the analysers of its languages.

Only analysers that Elasticsearch and OpenSearch bring along are named; a language without one is
cut at its words, with case and accents folded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

# Elasticsearch and OpenSearch, "language analyzers": BCP 47 tag → name.
_ANALYSERS: Final = {
    "ar": "arabic",
    "bg": "bulgarian",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "ja": "cjk",
    "ko": "cjk",
    "lt": "lithuanian",
    "lv": "latvian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
    "zh": "cjk",
}
_FOLDED: Final = "folded"
_KEYWORD: Final = {"type": "keyword"}
_INTEGER: Final = {"type": "integer"}
_TEXT: Final = {"type": "text", "analyzer": _FOLDED}
# A time may be cut to the day, the month or the year, as FHIR and the PHI policy have it.
_DATE: Final = {"type": "date", "format": "strict_date_optional_time"}


def index_body(languages: Iterable[str]) -> dict[str, Any]:
    """Return the body of the request that makes the index, with names in these languages."""
    spoken = sorted(set(languages))
    names = {
        "properties": {
            language: {
                "type": "text",
                "analyzer": _ANALYSERS.get(language, _FOLDED),
                # Compound words and misspellings are found in the text of all languages.
                "copy_to": "text",
            }
            for language in spoken
        }
    }
    properties = {
        **dict.fromkeys(
            (
                "id", "status", "study_uid", "identifier", "patient", "modality", "site",
                "site_and_above", "visible", "visible_and_above", "laterality", "view",
            ),
            _KEYWORD,
        ),
        "version": {"type": "long"},
        "updated": _DATE,
        "started": _DATE,
        "review": {"type": "boolean"},
        "series_count": _INTEGER,
        "instance_count": _INTEGER,
        "sites": {"properties": {"code": _KEYWORD, "display": _TEXT}},
        "series": {
            "type": "nested",
            "properties": {
                "uid": _KEYWORD,
                "modality": _KEYWORD,
                "site": _KEYWORD,
                "laterality": _KEYWORD,
                "instances": _INTEGER,
            },
        },
        "names": names,
        "visible_names": names,
        "text": _TEXT,
    }  # fmt: skip
    folded = {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]}
    return {
        "settings": {"analysis": {"analyzer": {_FOLDED: folded}}},
        # A field that is not here would be guessed at; it is refused instead.
        "mappings": {"dynamic": "strict", "properties": properties},
    }
