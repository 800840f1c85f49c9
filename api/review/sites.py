"""Whether a code that a person writes is a body site, a side or a view; what else it may mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rapidfuzz import fuzz, process

from api.errors import RequestError
from api.review.statement import view_of
from terminology.concept import SNOMED
from terminology.identifiers import sctid_problem
from terminology.library import Terminology
from terminology.suggestions import Suggestions

# In percent: a code that is less like another one is no misspelling of it.
_NEAR: Final = 85.0
_LONGEST_TEXT: Final = 200


class RefusedSiteError(RequestError):
    """A verdict that names no body site that the release holds."""

    def __init__(self, where: str, what: str, expected: str, remedy: str) -> None:
        super().__init__(where, what, expected, remedy, status=422, issue="code-invalid")


class SiteCheck:
    """Checks what persons write as a body site.

    Parameters
    ----------
    terminology
        Returns the terminology in use.
    """

    def __init__(self, terminology: Callable[[], Terminology]) -> None:
        self._terminology = terminology
        self._suggestions: tuple[Terminology, Suggestions] | None = None

    def site(self, concept: Mapping[str, Any], where: str) -> None:
        """Raise `RefusedSiteError` unless every SNOMED CT code of `concept` is a body structure.

        One at least is needed. The message names what is nearest, if anything is.
        """
        graph = self._terminology().graph
        codings = [one for one in concept.get("coding", ()) if one.get("system") == SNOMED]
        for coding in codings:
            code = str(coding.get("code", ""))
            problem = sctid_problem(code)
            if problem is None and code in graph:
                continue
            what = f"'{code[:40]}' {problem or 'is no body structure of ' + graph.version}"
            raise self._refused(where, what, code, coding.get("display") or concept.get("text"))
        if not codings:
            what = "it has no code of SNOMED CT"
            raise self._refused(where, what, None, concept.get("text"))

    def view(self, content: Mapping[str, Any], where: str) -> None:
        """Raise `RefusedSiteError` unless the view that an Observation names is one."""
        concept = view_of(content)
        if concept is None:
            return
        known = self._terminology().text.words.views
        codings = [one for one in concept.get("coding", ()) if one.get("system") == SNOMED]
        if any(one.get("code") in known for one in codings):
            return
        text = next((one["display"] for one in codings if one.get("display")), concept.get("text"))
        view = self._terminology().text.read(str(text or "")[:_LONGEST_TEXT]).view
        remedy = f"Did you mean {view.code} |{view.display}|?" if view else "Correct the code."
        what = f"'{codings[0].get('code', '')[:40] if codings else ''}' is no view"
        raise RefusedSiteError(where, what, "a view of DICOM CID 4010, 4012 or 4014", remedy)

    def _refused(
        self, where: str, what: str, code: str | None, text: str | None
    ) -> RefusedSiteError:
        nearest = self._nearest(code, text)
        remedy = f"Did you mean {nearest}?" if nearest else "Look one up: /r4/ValueSet/$expand."
        return RefusedSiteError(where, what, "a code below 123037004 |Body structure|", remedy)

    def _nearest(self, code: str | None, text: str | None) -> str | None:
        """Return the body structure that was probably meant, by its words before its digits."""
        terminology = self._terminology()
        words = (text or "")[:_LONGEST_TEXT]
        if words:
            sites = terminology.text.read(words).sites
            if sites:
                return f"{sites[0].code} |{sites[0].display}|"
            suggested = self._of(terminology).of(words)
            if suggested:
                return str(suggested[0])
        if code is None or not code.isdecimal() or code.startswith("0"):
            return None
        codes = terminology.graph.codes()
        found = process.extract(code, codes, scorer=fuzz.ratio, score_cutoff=_NEAR, limit=1)
        return str(terminology.graph.lookup(found[0][0])) if found else None

    def _of(self, terminology: Terminology) -> Suggestions:
        if self._suggestions is None or self._suggestions[0] is not terminology:
            made = Suggestions(terminology.text.words, terminology.graph)
            self._suggestions = terminology, made
        return self._suggestions[1]
