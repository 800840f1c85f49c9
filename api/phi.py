"""Which identifiers leave the process: the PHI policy, applied before anything is stored.

============  =======================  ======================  =========================
              keep                     hash (default)          drop
============  =======================  ======================  =========================
PatientID     as it stands             HMAC-SHA256             nothing
Accession     as it stands             HMAC-SHA256             nothing
DICOM UIDs    as they stand            as they stand           2.25.<HMAC>
picture       SHA-256 of its file      SHA-256 of its file     HMAC-SHA256 of that
study date    as it stands             as it stands            the year
header text   as it stands             recognised words only   recognised words only
how taken     as it stands             numbers, codes, names   numbers, codes, names
============  =======================  ======================  =========================

"How taken" are technical attributes (`terminology.acquisition`), without what people wrote there.
PatientName and PatientBirthDate are never read into an annotation. UIDs stay under hash, since
without them nobody finds the image in the PACS again.

Resources that clients send pass `api.security.admission` instead, with the same pseudonyms.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from terminology.annotation import (
    Attribute,
    BodySiteAnnotation,
    Evidence,
    HeaderStatement,
    Instance,
)

PSEUDONYM_SYSTEM = "https://w3id.org/bodysite/NamingSystem/pseudonym"


class PhiPolicy(StrEnum):
    """What happens to identifying values."""

    KEEP = "keep"
    HASH = "hash"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class PhiGuard:
    """A policy with its key: the same value gives the same pseudonym where the key is the same.

    `salt` is the key: that of the store, or one that several stores share (`api.security.keys`).
    """

    policy: PhiPolicy
    salt: bytes

    def protect(self, annotation: BodySiteAnnotation) -> BodySiteAnnotation:
        """Return `annotation` with what the policy lets through."""
        if self.policy is PhiPolicy.KEEP:
            return annotation
        hidden = _hidden_texts(annotation.header)
        return replace(
            annotation,
            instance=self._instance(annotation.instance),
            header=tuple(_recognised_only(statement, hidden) for statement in annotation.header),
            evidence=tuple(_without(evidence, hidden) for evidence in annotation.evidence),
            conflicts=tuple(_scrub(text, hidden) for text in annotation.conflicts),
            flags=tuple(_scrub(text, hidden) for text in annotation.flags),
            notes=tuple(_scrub(text, hidden) for text in annotation.notes),
        )

    def picture(self, sha256: str) -> str:
        """Return what a plain picture is known by, given the SHA-256 of its file."""
        if self.policy is PhiPolicy.DROP:
            return self._pseudonym("picture", sha256) or sha256
        return sha256

    def _instance(self, instance: Instance | None) -> Instance | None:
        if instance is None:
            return None
        instance = replace(instance, acquisition=tuple(_unwritten(instance.acquisition)))
        if self.policy is PhiPolicy.HASH:
            issuer = instance.issuer_of_patient_id or ""
            return replace(
                instance,
                patient_id=self.patient(instance.patient_id, issuer),
                issuer_of_patient_id=None,
                accession_number=self.accession(instance.accession_number),
            )
        return replace(
            instance,
            study_uid=self.uid(instance.study_uid),
            series_uid=self.uid(instance.series_uid),
            sop_instance_uid=self.uid(instance.sop_instance_uid),
            patient_id=None,
            issuer_of_patient_id=None,
            accession_number=None,
            started=instance.started[:4] if instance.started else None,
        )

    def patient(self, value: str | None, issuer: str = "") -> str | None:
        """Return the pseudonym of a PatientID."""
        return self._pseudonym(f"patient\0{issuer}", value)

    def accession(self, value: str | None) -> str | None:
        """Return the pseudonym of an accession number."""
        return self._pseudonym("accession", value)

    def other(self, system: str, value: str | None) -> str | None:
        """Return the pseudonym of an identifier that DICOM has no attribute for."""
        return self._pseudonym(f"identifier\0{system}", value)

    def _pseudonym(self, purpose: str, value: str | None) -> str | None:
        if not value:
            return None
        return hmac.new(self.salt, f"{purpose}\0{value}".encode(), hashlib.sha256).hexdigest()

    def uid(self, uid: str) -> str:
        """Return the UID that stands for `uid`."""
        # PS3.5 B.2: a UID may be 2.25. and an integer of 128 bits.
        digest = hmac.new(self.salt, f"uid\0{uid}".encode(), hashlib.sha256).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _unwritten(attributes: Iterable[Attribute]) -> Iterator[Attribute]:
    """Yield the attributes without the free text, those that have nothing else not at all."""
    for one in attributes:
        if one.value:
            yield replace(one, text=None)


def _recognised_words(statement: HeaderStatement) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for item in statement.evidence for word in item.words))


def _hidden_texts(statements: tuple[HeaderStatement, ...]) -> tuple[str, ...]:
    """Return the header values that hold more than recognised words, the longest first."""
    values = {
        statement.value
        for statement in statements
        if statement.value.strip() and statement.value != " ".join(_recognised_words(statement))
    }
    return tuple(sorted(values, key=lambda value: (-len(value), value)))


def _scrub(text: str, hidden: tuple[str, ...]) -> str:
    for value in hidden:
        text = text.replace(value, "…")
    return text


def _without(evidence: Evidence, hidden: tuple[str, ...]) -> Evidence:
    if evidence.note is None:
        return evidence
    return replace(evidence, note=_scrub(evidence.note, hidden))


def _recognised_only(statement: HeaderStatement, hidden: tuple[str, ...]) -> HeaderStatement:
    return replace(
        statement,
        value=" ".join(_recognised_words(statement)),
        ignored=(),
        evidence=tuple(_without(evidence, hidden) for evidence in statement.evidence),
    )
