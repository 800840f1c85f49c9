"""Whether one coding is in a value set, and what is wrong with it when it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api.tx.code_issues import deprecated_in, differs_by_case, unknown_code
from api.tx.compose import (
    Composition,
    distinct,
    filtered,
    listed_in,
    newest_first,
    require_usable,
)
from api.tx.errors import TxError
from api.tx.inquiry import Inquiry, Trial
from api.tx.issues import Issue
from api.tx.messages import issue
from api.tx.options import ValidateOptions
from api.tx.provider import CodeSystemProvider, Concept, Designation, Json, Selection
from api.tx.resource_provider import designation_of
from api.tx.systems import Systems
from api.tx.value_sets import ValueSetTrail, canonical_of, import_key, unresolved
from api.tx.versions import join_canonical, matches, version_key


class UnresolvedImportError(TxError):
    """A value set imports another that is not here; validation answers with ``result: false``."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a checker found out about one coding; the trial says what the coding means."""

    verdict: bool | None
    findings: Inquiry
    trial: Trial


@dataclass(slots=True)
class _Workings:
    """The checkers of the imported value sets of one validation: one each, however often named."""

    checkers: dict[object, ValueSetChecker] = field(default_factory=dict)


class ValueSetChecker:
    """Validates codings against one value set and those that it imports.

    Parameters
    ----------
    inquiry
        Gathers what is found.
    internal
        Whether the value set stands for a whole code system and was made for this validation.
    workings
        Shared with the checker of the value set that imports this one.
    """

    def __init__(
        self,
        value_set: Json,
        systems: Systems,
        trail: ValueSetTrail,
        options: ValidateOptions,
        inquiry: Inquiry,
        *,
        internal: bool = False,
        workings: _Workings | None = None,
    ) -> None:
        self.value_set = value_set
        self.internal = internal
        self._workings = workings or _Workings()
        self._systems = systems
        self._trail = trail
        self._options = options
        self._inquiry = inquiry
        self._imports: dict[str, ValueSetChecker] = {}
        compose = value_set.get("compose") or {}
        self._includes = distinct(compose.get("include") or ())
        self._excludes = distinct(compose.get("exclude") or ())
        self._ordered = newest_first(self._includes)
        self._versions = {include.get("version") for _, include in self._includes}
        self._active_only = compose.get("inactive") is False
        self._outcomes: dict[tuple[str | None, ...], _Outcome] = {}
        self._listed: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._filtered: dict[tuple[str, CodeSystemProvider], Selection] = {}

    def prepare(self) -> None:
        """Find the imported value sets and try the filters.

        Raises
        ------
        UnresolvedImportError
            An imported value set is not here.
        TxError
            A filter is not understood, or value sets import one another in a circle.
        """
        with self._trail.within(self.value_set):
            for place, include in self._placed():
                self._systems.context.deadline.check()
                require_usable(include, place)
                for canonical in include.get("valueSet") or ():
                    self._prepare_import(canonical)
                if include.get("filter"):
                    provider = self._systems.find(include["system"], include.get("version"))
                    if provider is not None:
                        self._selection(place, include, provider)
                elif include.get("system"):
                    self._systems.find(include["system"], include.get("version"))

    def check(self, trial: Trial) -> bool | None:
        """Return whether the coding is in the value set; `None` when nobody can tell.

        What is wrong goes into the inquiry.
        """
        if not trial.system:
            if not self._options.infer_system:
                self._inquiry.add(
                    issue(
                        "warning",
                        "invalid",
                        "invalid-data",
                        "Coding_has_no_system__cannot_validate",
                        at=trial.path,
                    ),
                    spoken=True,
                )
                return False
            if not self._infer_system(trial):
                return False
        if not self._includes:
            return self._check_stored(trial)
        found: bool | None = False
        chosen = self._version_that_fits(trial)
        inquiry, start = self._inquiry, self._inquiry.mark()
        for number, include in self._ordered:
            self._systems.context.deadline.check()
            findings = self._inquiry = Inquiry()
            try:
                found = self._check_include(f"include[{number}]", include, trial, chosen)
            finally:
                self._inquiry = inquiry
            if found:
                # What spoke against the coding in an earlier include is of no interest now.
                inquiry.restore(start)
            inquiry.absorb(findings)
            if found is None or found:
                break
        if found and (self._is_excluded(trial) or self._is_too_old(trial)):
            return False
        return found

    def _is_too_old(self, trial: Trial) -> bool:
        """Return whether an import let an inactive concept pass that this value set refuses."""
        if not self._active_only or trial.provider is None or trial.concept is None:
            return False
        if not trial.provider.status(trial.concept).inactive:
            return False
        self._report(trial, "STATUS_CODE_WARNING_CODE", "not active", trial.code)
        return True

    # Includes and excludes

    def _check_include(
        self, place: str, include: Mapping[str, Any], trial: Trial, chosen: str | None
    ) -> bool | None:
        found: bool | None = True
        if include.get("system"):
            if include["system"] != trial.system or not self._applies(include, trial, chosen):
                return False
            wanted = self._version(include, trial)
            provider = self._systems.find(include["system"], wanted, ruled=False)
            if provider is None:
                if self._options.membership_only:
                    return False
                self._report_unknown_system(trial, wanted)
                return None
            self._report_provider(provider, trial)
            found = self._check_concept(place, include, provider, trial)
        for canonical in include.get("valueSet") or ():
            checker = self._imports[canonical]
            self._report_import(checker)
            if found:
                found = self._check_import(checker, trial)
        return found

    def _check_import(self, checker: ValueSetChecker, trial: Trial) -> bool | None:
        """Return what the checker of an imported value set says, and note what it found."""
        outcome = checker.outcome(trial)
        self._inquiry.absorb(outcome.findings)
        trial.system = outcome.trial.system
        if outcome.trial.provider is not None:
            trial.provider, trial.concept = outcome.trial.provider, outcome.trial.concept
            names = outcome.trial.names
            trial.names = replace(names, active=list(names.active), inactive=list(names.inactive))
        return outcome.verdict

    def outcome(self, trial: Trial) -> _Outcome:
        """Return what comes of a coding, worked out once; `trial` stays as it is."""
        key = (trial.path, trial.code, trial.system, trial.version, trial.display)
        if key not in self._outcomes:
            own = Trial(*key)
            self._inquiry.restore(Inquiry())
            verdict = self.check(own)
            self._outcomes[key] = _Outcome(verdict, self._inquiry.mark(), own)
        return self._outcomes[key]

    def _is_excluded(self, trial: Trial) -> bool:
        for number, exclude in self._excludes:
            self._systems.context.deadline.check()
            inside = True
            if exclude.get("system"):
                if exclude["system"] != trial.system:
                    continue
                provider = self._systems.find(exclude["system"], exclude.get("version"))
                if provider is None:
                    self._report_unknown_system(trial, exclude.get("version"))
                    continue
                self._report_provider(provider, trial)
                concept = provider.find(trial.code)
                inside = concept is not None and self._holds(
                    f"exclude[{number}]", exclude, provider, concept
                )
            for canonical in exclude.get("valueSet") or ():
                checker = self._imports[canonical]
                self._report_import(checker)
                inside = inside and checker.holds(trial)
            if inside:
                return True
        return False

    def holds(self, trial: Trial) -> bool:
        """Return whether the coding is in the value set, without a word on why not."""
        asked = Trial(trial.path, trial.code, trial.system, trial.version)
        return self.outcome(asked).verdict is True

    def _holds(
        self,
        place: str,
        include: Mapping[str, Any],
        provider: CodeSystemProvider,
        concept: Concept,
    ) -> bool:
        """Return whether a concept meets the list and the filters of an include or exclude."""
        if include.get("concept") and self._reference(place, include, provider, concept) is None:
            return False
        if include.get("filter"):
            return self._selection(place, include, provider).contains(concept)
        return True

    # One concept

    def _check_concept(
        self,
        place: str,
        include: Mapping[str, Any],
        provider: CodeSystemProvider,
        trial: Trial,
    ) -> bool:
        concept = provider.find(trial.code)
        whole = not include.get("concept") and not include.get("filter")
        if concept is None:
            return whole and self._report_unknown_code(provider, trial)
        if not self._holds(place, include, provider, concept):
            return False
        trial.identify(provider, concept)
        status = provider.status(concept)
        reference = self._reference(place, include, provider, concept)
        if reference is not None:
            self._add_names(trial, reference)
        if whole or reference is None:
            self._note_normal_form(provider, trial, concept)
        if status.abstract and not self._options.abstract_allowed:
            self._report(trial, "ABSTRACT_CODE_NOT_ALLOWED", provider.url, trial.code)
            return False
        if status.inactive and (self._active_only or self._options.active_only):
            self._inquiry.note_status(trial, status)
            if whole or self._options.active_only:
                self._report(trial, "STATUS_CODE_WARNING_CODE", "not active", trial.code)
            return False
        self._inquiry.note_status(trial, status)
        if reference is not None:
            found = deprecated_in(self.value_set, provider, trial, reference)
            if found is not None:
                self._inquiry.add(found)
        note = provider.process_note(concept) if self.internal else None
        if note:
            self._inquiry.add(
                Issue(
                    "information", "informational", "process-note", note, None, (trial.at("code"),)
                )
            )
        return True

    def _reference(
        self,
        place: str,
        include: Mapping[str, Any],
        provider: CodeSystemProvider,
        concept: Concept,
    ) -> Mapping[str, Any] | None:
        """Return the element of `include.concept` that lists a concept."""
        if not include.get("concept"):
            return None
        if place not in self._listed:
            by_code: dict[str, Mapping[str, Any]] = {}
            for reference in include["concept"]:
                by_code.setdefault(reference.get("code", ""), reference)
            self._listed[place] = by_code
        references = self._listed[place]
        if concept.code in references:
            return references[concept.code]
        if provider.case_sensitive and not provider.unclosed_reason:
            return None
        # The same code may be written in another case, the same expression in another form.
        for code, reference in references.items():
            self._systems.context.deadline.check()
            listed = provider.find(code)
            if listed is not None and listed.code == concept.code:
                return reference
        return None

    def _add_names(self, trial: Trial, reference: Mapping[str, Any]) -> None:
        display = reference.get("display")
        if display:
            language = self.value_set.get("language")
            trial.names.active.append(Designation(display.strip(), language))
        trial.names.active += [designation_of(d) for d in reference.get("designation") or ()]

    # Versions and systems

    def _version(self, include: Mapping[str, Any], trial: Trial) -> str | None:
        """Return the version to validate in; one in the coding that does not fit is reported."""
        url, stated = include["system"], include.get("version")
        wanted = self._systems.version_for(url, stated)
        asked = trial.version
        if not asked:
            return wanted
        if wanted and asked != wanted and matches(wanted, asked):
            wanted = asked
        if not wanted and any(matches(asked, known) for known in self._systems.versions(url)):
            wanted = asked
        provider = self._systems.find(url, wanted, ruled=False)
        at = trial.at("version")
        if provider is None:
            if wanted != asked:
                arguments = (url, wanted, asked)
                self._mismatch("error", "VALUESET_VALUE_MISMATCH", arguments, at)
            return wanted
        if provider.version == asked or matches(asked, provider.version):
            return wanted
        if not wanted:
            severity = "error" if provider.metadata.get("versionNeeded") else "warning"
            told: tuple[str | None, ...] = (url, provider.version, stated, asked)
            self._mismatch(severity, "VALUESET_VALUE_MISMATCH_DEFAULT", told, at)
        elif wanted != stated:
            told = (url, wanted, stated, asked)
            self._mismatch("error", "VALUESET_VALUE_MISMATCH_CHANGED", told, at)
        else:
            self._mismatch("error", "VALUESET_VALUE_MISMATCH", (url, stated, asked), at)
        if self._systems.find(url, asked, ruled=False) is None:
            self._report_unknown_system(trial, asked)
        return wanted

    def _mismatch(self, severity: str, name: str, arguments: Sequence[str | None], at: str) -> None:
        self._inquiry.add(issue(severity, "invalid", "vs-invalid", name, *arguments, at=at))

    def _applies(self, include: Mapping[str, Any], trial: Trial, chosen: str | None) -> bool:
        """Return whether an include is to be looked at for a coding of this version."""
        version = include.get("version")
        if chosen is not None:
            return bool(version == chosen)
        if not trial.version or version == trial.version:
            return True
        return trial.version not in self._versions

    def _version_that_fits(self, trial: Trial) -> str | None:
        """Return the newest of several included versions that knows the code and its display."""
        if trial.version:
            return None
        included = {
            i["version"]
            for _, i in self._includes
            if i.get("system") == trial.system and i.get("version")
        }
        if len(included) < 2:
            return None
        fitting = []
        for version in included:
            provider = self._systems.find(trial.system or "", version)
            concept = provider.find(trial.code) if provider is not None else None
            if provider is None or concept is None:
                continue
            names = {d.value for d in provider.designations(concept)}
            if not trial.display or trial.display in names:
                fitting.append(version)
        if len(fitting) == len(included):
            return None
        best: str = max(fitting or included, key=version_key)
        return best

    def _infer_system(self, trial: Trial) -> bool:
        systems = self._systems_of(trial.code)
        if len(systems) == 1:
            trial.system = systems[0]
            return True
        canonical = canonical_of(self.value_set)
        if systems:
            name = "Unable_to_resolve_system__value_set_has_multiple_matches"
            arguments = [trial.code, canonical, ",".join(systems)]
        else:
            name = "UNABLE_TO_INFER_CODESYSTEM"
            arguments = [trial.code, canonical]
        self._inquiry.add(issue("error", "not-found", "cannot-infer", name, *arguments, at="code"))
        return False

    def _systems_of(self, code: str) -> list[str]:
        """Return the code systems of the concepts in the value set that have this code."""
        composition = Composition(self._systems, self._trail)
        try:
            segments = composition.segments(self.value_set)
        except TxError:
            # A code system that is not here might have the code as well.
            return []
        found: dict[str, None] = {}
        for segment in segments:
            concept = segment.provider.find(code)
            if concept is not None and segment.selection.contains(concept):
                found[segment.provider.url] = None
        return list(found)

    # What is said

    def _report(self, trial: Trial, name: str, *arguments: str) -> None:
        """Add the error that the code itself breaks a rule."""
        if name == "ABSTRACT_CODE_NOT_ALLOWED" and self._options.membership_only:
            return
        self._inquiry.add(
            issue("error", "business-rule", "code-rule", name, *arguments, at=trial.at("code"))
        )

    def _report_unknown_code(self, provider: CodeSystemProvider, trial: Trial) -> bool:
        """Return whether the code passes nevertheless, as one of a fragment does."""
        if self._options.membership_only:
            return False
        for found in unknown_code(provider, trial):
            self._inquiry.add(found)
        return provider.content != "complete"

    def _report_unknown_system(self, trial: Trial, version: str | None) -> None:
        url = trial.system or ""
        found = self._systems.unknown(url, version, at=trial.at("system"))
        known = self._systems.versions(url)
        self._inquiry.unknown_systems[join_canonical(url, version if known else None)] = None
        self._inquiry.add(found)

    def _report_provider(self, provider: CodeSystemProvider, trial: Trial) -> None:
        wrong = self._systems.check(provider)
        if wrong is not None:
            self._inquiry.add(wrong)
        canonical = join_canonical(provider.url, provider.version)
        self._inquiry.check_status(provider.metadata, "CodeSystem", canonical, self.value_set)

    def _note_normal_form(
        self, provider: CodeSystemProvider, trial: Trial, concept: Concept
    ) -> None:
        if concept.code != trial.code and not provider.unclosed_reason:
            self._inquiry.normal_form = concept.code
            self._inquiry.add(differs_by_case(provider, trial, concept))

    def _report_import(self, checker: ValueSetChecker) -> None:
        found = checker.value_set
        self._inquiry.check_status(found, "ValueSet", canonical_of(found), self.value_set)

    # Preparation

    def _placed(self) -> list[tuple[str, Mapping[str, Any]]]:
        included = [(f"include[{n}]", i) for n, i in self._includes]
        return included + [(f"exclude[{n}]", e) for n, e in self._excludes]

    def _prepare_import(self, canonical: str) -> None:
        if canonical in self._imports:
            return
        key = import_key(canonical, self.value_set)
        checker = self._workings.checkers.get(key)
        if checker is None:
            found = self._trail.imported(canonical, self.value_set)
            if found is None:
                raise UnresolvedImportError(unresolved(canonical))
            checker = ValueSetChecker(
                found,
                self._systems,
                self._trail,
                self._options,
                Inquiry(),
                workings=self._workings,
            )
            checker.prepare()
            self._workings.checkers[key] = checker
        self._imports[canonical] = checker

    def _selection(
        self, place: str, include: Mapping[str, Any], provider: CodeSystemProvider
    ) -> Selection:
        key = (place, provider)
        if key not in self._filtered:
            deadline = self._systems.context.deadline
            self._filtered[key] = filtered(provider, include["filter"], place, deadline)
        return self._filtered[key]

    def _check_stored(self, trial: Trial) -> bool | None:
        """Return whether the expansion that came with the value set lists the coding."""
        for entry in listed_in(self.value_set.get("expansion") or {}):
            if (entry["system"], entry["code"]) != (trial.system, trial.code):
                continue
            include = {"system": entry["system"], "version": entry.get("version")}
            wanted = self._version(include, trial)
            provider = self._systems.find(entry["system"], wanted, ruled=False)
            if provider is None:
                self._report_unknown_system(trial, wanted)
                return None
            self._report_provider(provider, trial)
            return self._check_concept("expansion", {}, provider, trial)
        return False
