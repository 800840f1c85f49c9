"""ValueSet/$validate-code and CodeSystem/$validate-code."""

from __future__ import annotations

from collections.abc import Sequence

from api.tx.code_issues import inactive_or_deprecated, unknown_code
from api.tx.coded import (
    Coded,
    code_system_asked,
    coded_in,
    refused,
    why_no_system,
    why_not_in_system,
)
from api.tx.compose import supplements_named_by
from api.tx.context import TxContext, require_kind
from api.tx.displays import display_issue
from api.tx.inquiry import Inquiry, Trial
from api.tx.issues import Issue, operation_outcome
from api.tx.membership import UnresolvedImportError, ValueSetChecker
from api.tx.messages import issue
from api.tx.options import ValidateOptions, joined_with
from api.tx.parameters import Parameters, parameter, parameters, resource_parameter
from api.tx.provider import CodeSystemProvider, Json
from api.tx.resource_provider import ResourceProvider
from api.tx.shape import require_shape
from api.tx.systems import Systems
from api.tx.value_sets import ValueSetTrail, asked_value_set, canonical_of
from api.tx.versions import join_canonical, version_key


def validate_value_set_code(parameters_: Json, context: TxContext) -> Json:
    """Return whether a code, Coding or CodeableConcept is in a value set.

    Raises
    ------
    TxError
        There is no such value set or no code in the request, or the value set is unusable.
    """
    asked = Parameters.of(parameters_)
    value_set = asked_value_set(asked, context)
    coded = coded_in(asked, "system", "systemVersion", status=422)
    joined, seen = joined_with(asked, context, value_set)
    return _Validation(joined, seen, coded, value_set).answer()


def validate_code_system_code(parameters_: Json, context: TxContext) -> Json:
    """Return whether a code, Coding or CodeableConcept is in a code system.

    Raises
    ------
    TxError
        There is no code in the request, or a supplement that it needs is not here.
    """
    asked = Parameters.of(parameters_)
    inline = asked.resource("codeSystem")
    if inline is not None:
        require_kind(inline, "codeSystem", "CodeSystem")
        require_shape(inline, "CodeSystem", "codeSystem")
        context = context.with_code_system(ResourceProvider(inline))
        asked = Parameters(({"name": "url", "valueUri": inline.get("url", "")}, *asked.entries))
    coded = coded_in(asked, "url", "version", status=400)
    systems = Systems(context)
    url, version = code_system_asked(asked, coded)
    wanted = systems.version_for(url, version)
    provider = context.code_system(url, wanted)
    if provider is None:
        reasons, unknown = why_not_in_system(url, wanted, coded, systems, context)
        return refused(coded, systems, reasons, unknown)
    return _Validation(asked, context, coded, _value_set_of(provider), provider).answer()


class _Validation:
    """One validation, from the request to the answer."""

    def __init__(
        self,
        asked: Parameters,
        context: TxContext,
        coded: Coded,
        value_set: Json,
        provider: CodeSystemProvider | None = None,
    ) -> None:
        self._context = context
        self._coded = coded
        self._value_set = value_set
        self._options = ValidateOptions.of(asked)
        if coded.mode != "code":
            self._options = self._options.without_inference()
        self._inquiry = Inquiry()
        self._systems = Systems(context, supplements_named_by(value_set))
        self._internal = provider is not None
        self._checker = ValueSetChecker(
            value_set,
            self._systems,
            ValueSetTrail(context),
            self._options,
            self._inquiry,
            internal=self._internal,
        )
        # The first coding that is in the value set, else the last one that was looked at.
        self._valid: Trial | None = None
        self._last: Trial | None = None

    def answer(self) -> Json:
        """Return the Parameters resource of the answer."""
        try:
            self._checker.prepare()
        except UnresolvedImportError as error:
            return refused(self._coded, self._systems, list(error.issues), None)
        self._systems.require_supplements()
        if not self._internal:
            canonical = canonical_of(self._value_set)
            self._inquiry.check_status(self._value_set, "ValueSet", canonical, self._value_set)
        verdict = self._verdict()
        if verdict is False:
            self._report_not_in_value_set()
        self._report_status()
        return self._answer(verdict)

    def _verdict(self) -> bool | None:
        """Return whether any coding is in the value set; `None` when nobody can tell."""
        verdict: bool | None = False
        unmatched = []
        for number, coding in enumerate(self._coded.codings):
            trial = Trial.of(coding, self._coded.path(number))
            if not trial.code:
                self._report_no_code(trial)
                break
            self._last = trial
            found = self._checker.check(trial)
            if verdict is not True and found is not False:
                verdict = found
            if found is False and self._coded.mode == "codeableConcept" and not self._internal:
                self._inquiry.add(self._not_in_value_set("information", trial))
            if found:
                self._valid = self._valid or trial
                self._report_display(trial)
                continue
            unmatched.append(trial)
            if trial.system and not self._options.membership_only:
                self._look_up(trial)
        if verdict is True:
            self._soften_unknown_systems(unmatched)
        return verdict

    def _look_up(self, trial: Trial) -> None:
        """Say what the code system knows of a coding that the value set does not hold."""
        system = trial.system or ""
        if ":" not in system:
            self._inquiry.add(
                issue(
                    "error",
                    "invalid",
                    "invalid-data",
                    "Terminology_TX_System_Relative",
                    at=trial.at("system"),
                )
            )
        version = trial.version or self._included_version(system)
        provider = self._systems.find(system, version)
        if provider is None:
            version = self._systems.version_for(system, version)
            found, unknown = why_no_system(
                system, version, self._systems, self._context, trial.at("system")
            )
            self._inquiry.add(found)
            if unknown:
                self._inquiry.unknown_systems[unknown] = None
            return
        wrong = self._systems.check(provider)
        if wrong is not None:
            self._inquiry.add(wrong)
        canonical = join_canonical(provider.url, provider.version)
        self._inquiry.check_status(provider.metadata, "CodeSystem", canonical, self._value_set)
        concept = provider.find(trial.code)
        if concept is None:
            trial.provider = provider
            for found in unknown_code(provider, trial):
                self._inquiry.add(found)
            return
        trial.identify(provider, concept)
        status = provider.status(concept)
        if status.inactive:
            self._inquiry.note_status(trial, status)
        self._report_display(trial)

    def _included_version(self, system: str) -> str | None:
        compose = self._value_set.get("compose") or {}
        includes = compose.get("include") or ()
        versions = [i["version"] for i in includes if i.get("system") == system and "version" in i]
        return max(versions, key=version_key, default=None)

    # What is said

    def _report_no_code(self, trial: Trial) -> None:
        text = "Coding has no code"
        if trial.system:
            text += f" for system {trial.system}"
        text += " and cannot be validated"
        found = Issue("warning", "invalid", "invalid-data", text, None, (trial.path,))
        self._inquiry.add(found, spoken=True)

    def _report_display(self, trial: Trial) -> None:
        if not trial.display or not trial.names:
            return
        found = display_issue(
            trial.names,
            trial.display,
            trial.system or "",
            trial.code,
            self._context.languages,
            lenient=self._options.lenient_display,
            at=trial.at("display"),
        )
        if found is not None:
            self._inquiry.add(found, spoken=found.kind == "invalid-display")

    def _not_in_value_set(self, severity: str, trial: Trial) -> Issue:
        kind = "this-code-not-in-vs" if severity == "information" else "not-in-vs"
        name = "None_of_the_provided_codes_are_in_the_value_set_one"
        canonical = canonical_of(self._value_set)
        described = trial.described()
        return issue(
            severity, "code-invalid", kind, name, None, canonical, described, at=trial.at("code")
        )

    def _report_not_in_value_set(self) -> None:
        if self._internal and self._inquiry.failed:
            return
        if self._coded.mode == "codeableConcept":
            canonical = canonical_of(self._value_set)
            name = "TX_GENERAL_CC_ERROR_MESSAGE"
            self._inquiry.add(issue("error", "code-invalid", "not-in-vs", name, canonical))
        elif self._last is not None:
            self._inquiry.add(self._not_in_value_set("error", self._last))

    def _soften_unknown_systems(self, unmatched: Sequence[Trial]) -> None:
        """Make an unknown system a warning where another coding of the concept is valid."""
        for trial in unmatched:
            at = (trial.at("system"),)
            for found in list(self._inquiry.issues):
                if found.kind == "not-found" and found.expression == at:
                    canonical = join_canonical(trial.system or "", trial.version)
                    name = "UNKNOWN_CODESYSTEM_CODING_NOT_CHECKED"
                    softer = issue("warning", "not-found", "not-found", name, canonical, at=at[0])
                    self._inquiry.exchange(found, softer)

    def _report_status(self) -> None:
        found = inactive_or_deprecated(self._inquiry, self._last)
        if found is not None:
            self._inquiry.add(found, spoken=True)

    # The answer

    def _answer(self, verdict: bool | None) -> Json:
        inquiry = self._inquiry
        result = verdict is True and not inquiry.failed
        single = self._coded.mode != "codeableConcept"
        trial = self._valid or (self._last if single else None)
        entries: list[Json] = [parameter("result", "boolean", result)]
        if trial is not None:
            entries += self._described(trial)
        if not result:
            name = "x-unknown-system" if verdict is False else "x-caused-by-unknown-system"
            entries += [parameter(name, "canonical", u) for u in inquiry.unknown_systems]
        if inquiry.normal_form:
            entries.append(parameter("normalized-code", "code", inquiry.normal_form))
        if inquiry.inactive is not None and (
            single or (self._valid is not None and inquiry.inactive[0] == self._valid.path)
        ):
            entries.append(parameter("inactive", "boolean", True))
            if inquiry.status and inquiry.status != "inactive":
                entries.append(parameter("status", "code", inquiry.status))
        elif inquiry.inactive is None and (inquiry.status or "").lower() == "deprecated":
            entries.append(parameter("status", "code", "deprecated"))
        if inquiry.message:
            entries.append(parameter("message", "string", inquiry.message))
        if not single:
            entries.append(parameter("codeableConcept", "CodeableConcept", self._coded.concept))
        if inquiry.issues:
            outcome = operation_outcome(inquiry.issues)
            entries.append(resource_parameter("issues", outcome))
        return parameters(*entries)

    def _described(self, trial: Trial) -> list[Json]:
        """Return system, version, code and display of the coding that the answer is about."""
        found = [parameter("code", "code", trial.code)]
        if trial.system:
            found.append(parameter("system", "uri", trial.system))
        version = trial.provider.version if trial.provider is not None else trial.version
        if version:
            found.append(parameter("version", "string", version))
        display = trial.shown(self._context.languages)
        if display:
            found.append(parameter("display", "string", display))
        return found


def _value_set_of(provider: CodeSystemProvider) -> Json:
    """Return the value set of everything in a code system."""
    include = {"system": provider.url}
    if provider.version:
        include["version"] = provider.version
    return {
        "resourceType": "ValueSet",
        "status": "active",
        "url": provider.metadata.get("valueSet") or f"{provider.url}/vs",
        "version": provider.version,
        "compose": {"include": [include]},
    }
