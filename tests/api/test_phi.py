"""The PHI policy on annotations."""

from __future__ import annotations

from api.phi import PhiGuard, PhiPolicy
from terminology.annotation import BodySiteAnnotation, Evidence, HeaderStatement, Instance

WORDS = Evidence("StudyDescription", words=("HAND",), note="'Hand Muster' was cut")
ANNOTATION = BodySiteAnnotation(
    Instance(
        "1.2", "1.3", "1.4", patient_id="P1", issuer_of_patient_id="KH", accession_number="A1"
    ),
    header=(
        HeaderStatement(
            "StudyDescription", "(0008,1030)", "Hand Muster", ignored=("MUSTER",), evidence=(WORDS,)
        ),
    ),
    evidence=(WORDS,),
    conflicts=("StudyDescription 'Hand Muster' is below",),
    flags=("odd 'Hand Muster'",),
)


def guard(policy: str, salt: bytes = b"salt") -> PhiGuard:
    return PhiGuard(PhiPolicy(policy), salt)


def test_keep_changes_nothing() -> None:
    assert guard("keep").protect(ANNOTATION) == ANNOTATION


def test_hash_and_drop_leave_recognised_words_only() -> None:
    for policy in ("hash", "drop"):
        found = guard(policy).protect(ANNOTATION)
        assert "Muster" not in repr(found)
        assert "MUSTER" not in repr(found)
        assert found.header[0].value == "HAND"
        assert found.conflicts == ("StudyDescription '…' is below",)


def test_hash_is_the_same_for_the_same_salt_only() -> None:
    one = guard("hash").protect(ANNOTATION).instance
    same = guard("hash").protect(ANNOTATION).instance
    other = guard("hash", b"other").protect(ANNOTATION).instance
    assert one is not None
    assert other is not None
    assert one == same
    assert one.patient_id not in (None, "P1", other.patient_id)
    assert one.patient_id != one.accession_number
    assert one.study_uid == "1.2"
    assert one.issuer_of_patient_id is None


def test_drop_gives_uids_that_are_uids() -> None:
    found = guard("drop").protect(ANNOTATION).instance
    assert found is not None
    assert (found.patient_id, found.accession_number) == (None, None)
    uids = {found.study_uid, found.series_uid, found.sop_instance_uid}
    assert len(uids) == 3
    for uid in uids:
        assert uid.startswith("2.25.")
        assert len(uid) <= 64
