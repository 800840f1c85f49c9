"""What a validation has found out so far: issues, messages, and facts about the codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from api.tx.displays import Names
from api.tx.issues import Issue
from api.tx.languages import LanguagePreference
from api.tx.messages import issue
from api.tx.naming import shown_designation
from api.tx.property_names import standards_status
from api.tx.provider import CodeSystemProvider, Concept, ConceptStatus


@dataclass(slots=True)
class Trial:
    """One coding that is being validated.

    Parameters
    ----------
    path
        FHIRPath of the coding in the request; empty where the code came as a plain parameter.
    provider, concept
        What the coding turned out to mean.
    """

    path: str
    code: str
    system: str | None = None
    version: str | None = None
    display: str | None = None
    names: Names = field(default_factory=Names)
    provider: CodeSystemProvider | None = None
    concept: Concept | None = None

    @classmethod
    def of(cls, coding: Mapping[str, Any], path: str) -> Trial:
        """Return the trial of a Coding."""
        return cls(
            path,
            str(coding.get("code", "")),
            coding.get("system"),
            coding.get("version"),
            coding.get("display"),
        )

    def at(self, element: str) -> str:
        """Return the FHIRPath of an element of the coding."""
        return f"{self.path}.{element}" if self.path else element

    def identify(self, provider: CodeSystemProvider, concept: Concept) -> None:
        """Note what the coding means, and the names that this concept has."""
        self.provider = provider
        self.concept = concept
        self.names = Names(
            provider.language,
            provider.display(concept),
            list(provider.designations(concept)),
            list(provider.inactive_designations(concept)),
        )

    def shown(self, languages: LanguagePreference) -> str | None:
        """Return the display for the answer: in a wanted language, else the code system's own."""
        if self.provider is None or self.concept is None:
            return None
        found = shown_designation(self.provider, self.concept, self.names.active, languages)
        return found.value if found is not None else self.names.display

    def described(self) -> str:
        """Return system, version, code and display as messages show them."""
        version = f"|{self.version}" if self.version else ""
        display = f" ('{self.display}')" if self.display else ""
        return f"'{self.system or ''}{version}#{self.code}{display}'"


@dataclass(slots=True)
class Inquiry:
    """The findings of one validation.

    Parameters
    ----------
    unknown_systems
        Code systems, with a version where one was asked for, that are not here.
    inactive
        Path and code of the first inactive concept that was met.
    status
        The status of the concept, where the code system states one.
    normal_form
        The code as the code system writes it, where the request wrote it otherwise.
    """

    issues: list[Issue] = field(default_factory=list)
    unknown_systems: dict[str, None] = field(default_factory=dict)
    inactive: tuple[str, str] | None = None
    status: str | None = None
    normal_form: str | None = None
    _noted: bool = False
    _messages: dict[str, None] = field(default_factory=dict)

    def mark(self) -> Inquiry:
        """Return a copy of what is known now, to go back to."""
        return replace(
            self,
            issues=list(self.issues),
            unknown_systems=dict(self.unknown_systems),
            _messages=dict(self._messages),
        )

    def restore(self, mark: Inquiry) -> None:
        """Forget what was found since `mark` was made."""
        known = mark.mark()
        for entry in fields(self):
            setattr(self, entry.name, getattr(known, entry.name))

    def add(self, found: Issue, *, spoken: bool = False) -> None:
        """Add an issue once; its text goes into the message when it is `spoken` or an error."""
        if spoken or found.severity == "error":
            self._messages[found.text] = None
        if found not in self.issues:
            self.issues.append(found)

    def absorb(self, other: Inquiry) -> None:
        """Add what another inquiry has found, as if it had been found here."""
        for found in other.issues:
            self.add(found, spoken=found.text in other._messages)
        self.unknown_systems |= other.unknown_systems
        self.normal_form = other.normal_form or self.normal_form
        if self.inactive is None and other._noted:
            self.status, self.inactive, self._noted = other.status, other.inactive, True

    def exchange(self, old: Issue, new: Issue) -> None:
        """Put `new` where `old` was; the message says the new one."""
        self.issues = [new if found == old else found for found in self.issues]
        self._messages.pop(old.text, None)
        self._messages[new.text] = None

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(found.severity == "error" for found in self.issues)

    @property
    def message(self) -> str | None:
        """The texts that the answer's `message` has, in order."""
        return "; ".join(sorted(self._messages)) or None

    def note_status(self, trial: Trial, status: ConceptStatus) -> None:
        """Remember the first inactive concept, and until then the status of the last."""
        if self.inactive is None:
            self._noted = True
            self.status = status.status
            if status.inactive:
                self.inactive = (trial.path, trial.code)

    def check_status(
        self,
        resource: Mapping[str, Any],
        kind: str,
        canonical: str,
        source: Mapping[str, Any],
    ) -> None:
        """Add what there is to say about `source` resting on a resource of this status."""
        standards = standards_status(resource)
        drafts = {resource.get("status"), standards}
        if standards in {"deprecated", "withdrawn"}:
            name = f"MSG_{standards.upper()}"
        elif resource.get("status") == "retired":
            name = "MSG_RETIRED"
        elif resource.get("experimental") and not source.get("experimental"):
            name = "MSG_EXPERIMENTAL"
        elif "draft" in drafts and "draft" not in {source.get("status"), standards_status(source)}:
            name = "MSG_DRAFT"
        else:
            return
        self.add(issue("information", "business-rule", "status-check", name, canonical, kind))
