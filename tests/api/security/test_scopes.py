"""SMART scopes: what each of them grants."""

from __future__ import annotations

import pytest

from api.errors import RequestError
from api.security.actor import ANONYMOUS, NOBODY, static_actor
from api.security.scopes import granted, grants


@pytest.mark.parametrize(
    ("scope", "expected", "reason"),
    [
        ("system/ImagingStudy.rs", ("ImagingStudy", "rs"), "version 2"),
        ("user/*.cruds", ("*", "cruds"), "every type"),
        ("user/Observation.cu", ("Observation", "cu"), "a part of the letters"),
        ("system/ImagingStudy.read", ("ImagingStudy", "rs"), "version 1"),
        ("system/ImagingStudy.write", ("ImagingStudy", "cud"), "version 1"),
        ("system/*.*", ("*", "cruds"), "version 1"),
        ("system/ImagingStudy.sr", None, "letters in another order"),
        ("system/ImagingStudy.rr", None, "a letter twice"),
        ("system/ImagingStudy.", None, "no letter"),
        ("system/ImagingStudy", None, "no letter"),
        ("patient/ImagingStudy.rs", None, "there is no patient to be limited to"),
        ("system/ImagingStudy.rs?modality=CT", None, "a limit that would not be kept"),
        ("openid", None, "of OpenID Connect"),
        ("system/imagingstudy.rs", None, "no resource type"),
        ("SYSTEM/ImagingStudy.rs", None, "scopes are case-sensitive (RFC 6749, 3.3)"),
    ],
)
def test_a_scope_grants(scope: str, expected: tuple[str, str] | None, reason: str) -> None:
    assert granted(scope) == expected, reason


def test_scopes_add_up_by_type() -> None:
    scopes = ("system/ImagingStudy.rs", "user/Observation.u", "openid")
    assert grants(scopes, "r", "ImagingStudy")
    assert grants(scopes, "u", "Observation")
    assert not grants(scopes, "u", "ImagingStudy")
    assert not grants(scopes, "r", "Observation")
    assert not grants(scopes, "r", "*")


def test_who_is_nobody_may_nothing_and_who_is_anonymous_may_everything() -> None:
    for letter in "cruds":
        assert ANONYMOUS.may(letter, "Patient")
        assert not NOBODY.may(letter, "Patient")


def test_a_refusal_names_the_scope_that_is_missing() -> None:
    actor = static_actor("viewer", ("system/ImagingStudy.rs",))
    actor.require("r", "ImagingStudy")
    with pytest.raises(RequestError, match=r"system/Observation\.u") as caught:
        actor.require("u", "Observation")
    assert (caught.value.status, caught.value.issue) == (403, "forbidden")
