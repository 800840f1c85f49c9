"""What goes from one release to the other comes back whole, and is valid on both sides."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4_class

from api.rendering import rendered, taken_in
from tests.api.rendering.samples import KINDS, Sampler

SAMPLES = 25
_MODELS = {"R4": r4_class, "R5": r5_class}


def valid(content: dict[str, Any], release: str) -> dict[str, Any]:
    _MODELS[release](content["resourceType"]).model_validate(copy.deepcopy(content))
    return content


@pytest.mark.parametrize("kind", KINDS)
def test_r4_there_and_back_loses_nothing(kind: str) -> None:
    for seed in range(SAMPLES):
        content = valid(sampler("R4", kind, seed).resource(kind), "R4")
        before = copy.deepcopy(content)
        there = valid(rendered(content, "R5"), "R5")
        assert content == before, "what is rendered stays as it is"
        assert valid(taken_in(there, kind, "R5"), "R4") == content


@pytest.mark.parametrize("kind", KINDS)
def test_r5_there_and_back_loses_nothing(kind: str) -> None:
    for seed in range(SAMPLES):
        content = valid(sampler("R5", kind, seed).resource(kind), "R5")
        there = valid(taken_in(content, kind, "R5"), "R4")
        assert valid(rendered(there, "R5"), "R5") == content


def sampler(release: str, kind: str, seed: int) -> Sampler:
    return Sampler(release, random.Random(f"{kind} {release} {seed}"))  # noqa: S311
