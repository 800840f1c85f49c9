"""R5 in R4 form and back: what is said survives, where HL7's extensions say it too."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class as model_of_r4

from api import concept_maps
from api.tx.crossversion import X4, X5
from api.tx.r4 import resource_to_r4, resource_to_r5
from terminology.library import Terminology

Json = dict[str, Any]


def value_set(**more: Any) -> Json:
    return {"resourceType": "ValueSet", "status": "active", **more}


def concept_map(**group: Any) -> Json:
    return {
        "resourceType": "ConceptMap",
        "status": "active",
        "group": [{"source": "http://a", "target": "http://b", **group}],
    }


R5: list[tuple[str, Json, Json]] = [
    (
        "an algorithm of versions",
        value_set(versionAlgorithmString="semver", copyrightLabel="mine"),
        {
            "extension": [
                {"url": f"{X5}ValueSet.versionAlgorithm[x]", "valueString": "semver"},
                {"url": f"{X5}ValueSet.copyrightLabel", "valueString": "mine"},
            ]
        },
    ),
    (
        "an operator of a filter",
        value_set(
            compose={
                "include": [
                    {
                        "system": "http://a",
                        "filter": [{"property": "concept", "op": "child-of", "value": "x"}],
                    }
                ]
            }
        ),
        {
            "compose": {
                "include": [
                    {
                        "system": "http://a",
                        "filter": [
                            {
                                "property": "concept",
                                "value": "x",
                                "_op": {
                                    "extension": [
                                        {
                                            "url": f"{X5}ValueSet.compose.include.filter.op",
                                            "valueCode": "child-of",
                                        }
                                    ]
                                },
                            }
                        ],
                    }
                ]
            }
        },
    ),
    (
        "properties of an expansion",
        value_set(
            expansion={
                "timestamp": "2026-01-01T00:00:00Z",
                "property": [{"code": "weight", "uri": "http://a#weight"}],
                "contains": [
                    {
                        "system": "http://a",
                        "code": "x",
                        "contains": [
                            {"code": "y", "property": [{"code": "weight", "valueDecimal": 1.5}]}
                        ],
                    }
                ],
            }
        ),
        {
            "expansion": {
                "timestamp": "2026-01-01T00:00:00Z",
                "extension": [
                    {
                        "url": f"{X5}ValueSet.expansion.property",
                        "extension": [
                            {"url": "code", "valueCode": "weight"},
                            {"url": "uri", "valueUri": "http://a#weight"},
                        ],
                    }
                ],
                "contains": [
                    {
                        "system": "http://a",
                        "code": "x",
                        "contains": [
                            {
                                "code": "y",
                                "extension": [
                                    {
                                        "url": f"{X5}ValueSet.expansion.contains.property",
                                        "extension": [
                                            {"url": "code", "valueCode": "weight"},
                                            {"url": "value", "valueDecimal": 1.5},
                                        ],
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        },
    ),
    (
        "scopes and the versions of systems",
        {
            "resourceType": "ConceptMap",
            "status": "active",
            "sourceScopeUri": "http://vs/a",
            "group": [{"source": "http://a|1", "target": "http://b"}],
        },
        {
            "sourceUri": "http://vs/a",
            "group": [{"source": "http://a", "sourceVersion": "1", "target": "http://b"}],
        },
    ),
    (
        "relationships",
        concept_map(
            element=[
                {
                    "code": "x",
                    "target": [
                        {"code": "1", "relationship": "equivalent"},
                        {"code": "2", "relationship": "source-is-narrower-than-target"},
                        {"code": "3", "relationship": "not-related-to"},
                        {
                            "code": "4",
                            "relationship": "related-to",
                            "extension": [
                                {
                                    "url": f"{X4}ConceptMap.group.element.target.equivalence",
                                    "valueCode": "inexact",
                                }
                            ],
                            "comment": "near",
                        },
                    ],
                },
                {"code": "y", "noMap": True},
            ]
        ),
        {
            "group": [
                {
                    "source": "http://a",
                    "target": "http://b",
                    "element": [
                        {
                            "code": "x",
                            "target": [
                                {"code": "1", "equivalence": "equivalent"},
                                {"code": "2", "equivalence": "wider"},
                                {"code": "3", "equivalence": "disjoint"},
                                {"code": "4", "equivalence": "inexact", "comment": "near"},
                            ],
                        },
                        {"code": "y", "target": [{"equivalence": "unmatched"}]},
                    ],
                }
            ]
        },
    ),
    (
        "codes that are not mapped",
        concept_map(unmapped={"mode": "use-source-code", "relationship": "equivalent"}),
        {
            "group": [
                {
                    "source": "http://a",
                    "target": "http://b",
                    "unmapped": {
                        "mode": "provided",
                        "extension": [
                            {
                                "url": f"{X5}ConceptMap.group.unmapped.relationship",
                                "valueCode": "equivalent",
                            }
                        ],
                    },
                }
            ]
        },
    ),
    (
        "further values",
        {
            **concept_map(
                element=[
                    {
                        "code": "x",
                        "target": [
                            {
                                "code": "1",
                                "relationship": "equivalent",
                                "dependsOn": [
                                    {
                                        "attribute": "side",
                                        "valueCoding": {"system": "http://s", "code": "L"},
                                    }
                                ],
                            }
                        ],
                    }
                ]
            ),
            "additionalAttribute": [
                {"code": "side", "uri": "http://a#laterality", "type": "Coding"},
            ],
        },
        {
            "extension": [
                {
                    "url": f"{X5}ConceptMap.additionalAttribute",
                    "extension": [
                        {"url": "code", "valueCode": "side"},
                        {"url": "uri", "valueUri": "http://a#laterality"},
                        {"url": "type", "valueCode": "Coding"},
                    ],
                }
            ],
            "group": [
                {
                    "source": "http://a",
                    "target": "http://b",
                    "element": [
                        {
                            "code": "x",
                            "target": [
                                {
                                    "code": "1",
                                    "equivalence": "equivalent",
                                    "dependsOn": [
                                        {
                                            "property": "http://a#laterality",
                                            "system": "http://s",
                                            "value": "L",
                                        }
                                    ],
                                }
                            ],
                        }
                    ],
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("r5", "r4"), [row[1:] for row in R5], ids=[row[0] for row in R5])
def test_what_r4_has_no_element_for_travels_in_an_extension(r5: Json, r4: Json) -> None:
    before = copy.deepcopy(r5)
    made = resource_to_r4(r5)
    assert r5 == before
    for name, expected in r4.items():
        assert made[name] == expected
    assert resource_to_r5(made) == r5


def test_parts_and_resources_of_parameters_are_converted_however_deep() -> None:
    inner = value_set(versionAlgorithmString="semver")
    request = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "valueString": "x"},
            {
                "name": "b",
                "part": [
                    {"name": "c", "resource": {"resourceType": "Parameters", "parameter": []}},
                    {"name": "d", "resource": inner},
                ],
            },
        ],
    }
    made = resource_to_r4(request)
    deep = made["parameter"][1]["part"][1]["resource"]
    assert "versionAlgorithmString" not in deep
    assert resource_to_r5(made) == request


def test_a_narrower_target_gets_the_comment_that_r4_wants_and_loses_it_again() -> None:
    target = {"code": "1", "relationship": "source-is-broader-than-target"}
    r5 = concept_map(element=[{"code": "x", "target": [target]}])
    made = resource_to_r4(r5)
    assert made["group"][0]["element"][0]["target"][0]["comment"]
    assert resource_to_r5(made) == r5


def test_every_crosswalk_table_is_the_same_after_both_ways(terminology: Terminology) -> None:
    crosswalk = terminology.crosswalk
    for table in crosswalk.tables:
        resource = resource_to_r4(concept_maps.concept_map(table))
        again = resource_to_r4(resource_to_r5(resource))
        model_of_r4("ConceptMap").model_validate(again)
        assert again == resource
