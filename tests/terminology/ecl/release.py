"""A release of our own in RF2: a random one, with everything that constraints can ask for."""

import random

from tests.terminology.writer import (
    CASE,
    CONCEPT,
    CONCRETE,
    CORE,
    DEFINED,
    DESCRIPTION,
    IDENTIFIER,
    INFERRED,
    MEMBER,
    PRIMITIVE,
    RELATIONSHIP,
    SOME,
    Writer,
    made_up,
)

VERSION = "http://snomed.info/xsct/900000000000207008/version/20260131"
ROOT, IS_A = "138875005", "116680003"
OTHER_MODULE = "900000000000012004"
FSN, SYNONYM, DEFINITION = "900000000000003001", "900000000000013009", "900000000000550004"
PREFERRED, ACCEPTABLE = "900000000000548007", "900000000000549004"
US, GB, SWEDISH = "900000000000509007", "900000000000508004", "46011000052107"
HISTORICAL, SAME_AS, REPLACED_BY = (
    "900000000000522004",
    "900000000000527005",
    "900000000000526001",
)
POSSIBLY = "900000000000523009"
SITE, MORPHOLOGY, LATERALITY, ATTRIBUTE = "363698007", "116676008", "272741003", "410662002"
SCHEME_NAME = "Lab"

_DATES = ("20020131", "20150731", "20200131", "20260131")
_WORDS = (
    "heart", "liver", "lung", "structure", "left", "right", "acute", "chronic", "fracture",
    "inflammation", "entire", "part", "region", "upper", "lower", "skin", "hepatitis", "carditis",
)  # fmt: skip


STRENGTH, NAME, LISTED, SUBSTANCE = (made_up(number) for number in (901, 902, 903, 904))
SIMPLE, MAP, ASSOCIATED, SCHEME = (made_up(number) for number in (911, 912, 913, 914))
PLAIN = [made_up(number) for number in range(10, 100)]

_METADATA = {
    "900000000000441003": (ROOT,),
    "106237007": ("900000000000441003",),
    IS_A: ("106237007",),
    ATTRIBUTE: ("106237007",),
    SITE: (ATTRIBUTE,),
    MORPHOLOGY: (ATTRIBUTE,),
    SUBSTANCE: (MORPHOLOGY,),
    LATERALITY: (ATTRIBUTE,),
    STRENGTH: (ATTRIBUTE,),
    NAME: (ATTRIBUTE,),
    LISTED: (ATTRIBUTE,),
    CORE: ("900000000000441003",),
    OTHER_MODULE: (CORE,),
    SCHEME: ("900000000000441003",),
    "900000000000455006": ("900000000000441003",),
    HISTORICAL: ("900000000000455006",),
    SAME_AS: (HISTORICAL,),
    REPLACED_BY: (HISTORICAL,),
    POSSIBLY: (HISTORICAL,),
    **dict.fromkeys((SIMPLE, MAP, ASSOCIATED, US, GB, SWEDISH), ("900000000000455006",)),
    **dict.fromkeys(
        (DEFINED, PRIMITIVE, FSN, SYNONYM, DEFINITION, PREFERRED, ACCEPTABLE, INFERRED, SOME,
         CASE),
        ("900000000000441003",),
    ),
}  # fmt: skip


def write_release(folder, seed=1):
    """Write the Snapshot files of a release into `folder`."""
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    out = Writer(folder, "20260131")
    parents = dict(_METADATA)
    for place, code in enumerate(PLAIN):
        above = PLAIN[max(0, place - 30) : place] or [ROOT]
        parents[code] = tuple(sorted(set(chance.choices(above, k=chance.choice((1, 1, 2))))))
    inactive = set(chance.sample(PLAIN[40:], 12))
    for code, above in list(parents.items()):
        parents[code] = tuple(one for one in above if one not in inactive) or (ROOT,)
    codes = [ROOT, *parents]
    active = [code for code in PLAIN if code not in inactive]
    out.write(
        "sct2_Concept_Snapshot",
        CONCEPT,
        [
            (
                code,
                chance.choice(_DATES),
                int(code not in inactive),
                chance.choice((CORE, CORE, OTHER_MODULE)),
                chance.choice((DEFINED, PRIMITIVE)),
            )
            for code in codes
        ],
    )
    _write_descriptions(out, chance, codes)
    _write_attributes(out, chance, parents, inactive, active)
    _write_refsets(out, chance, active, sorted(inactive))
    out.write(
        "sct2_Identifier_Snapshot",
        IDENTIFIER,
        [("54486-6", "20260131", 1, CORE, SCHEME, PLAIN[3])],
    )


def _write_descriptions(out, chance, codes):
    rows, language = [], []
    for code in codes:
        for kind in (FSN, SYNONYM, SYNONYM, DEFINITION)[: chance.choice((2, 3, 3, 4))]:
            identifier = made_up(1000 + len(rows), "11")
            spoken = chance.choice(("en", "en", "en", "sv"))
            term = " ".join(chance.sample(_WORDS, chance.randint(2, 4)))
            rows.append(
                (identifier, chance.choice(_DATES), chance.choice((1, 1, 1, 0)),
                 chance.choice((CORE, OTHER_MODULE)), code, spoken, kind,
                 chance.choice((term, term.capitalize())), CASE)
            )  # fmt: skip
            for refset in (US, GB) if spoken == "en" else (SWEDISH,):
                if chance.random() < 0.7:
                    language.append(
                        (out.uuid(), "20260131", chance.choice((1, 1, 1, 0)), CORE, refset,
                         identifier, chance.choice((PREFERRED, ACCEPTABLE)))
                    )  # fmt: skip
    rows.append((made_up(999, "11"), "20260131", 1, CORE, SCHEME, "en", SYNONYM, SCHEME_NAME, CASE))
    for name, chosen in (
        ("sct2_Description_Snapshot-en", [row for row in rows if row[6] != DEFINITION]),
        ("sct2_TextDefinition_Snapshot-en", [row for row in rows if row[6] == DEFINITION]),
    ):
        out.write(name, DESCRIPTION, chosen)
    out.write(
        "der2_cRefset_LanguageSnapshot-en",
        f"{MEMBER} acceptabilityId",
        language,
    )


def _write_attributes(out, chance, parents, inactive, active):
    edges = [
        (code, above, IS_A, 0)
        for code, listed in parents.items()
        if code not in inactive
        for above in listed
    ]
    attributes = set()
    for code in active[20:]:
        for group in range(chance.choice((0, 1, 1, 2, 3))):
            for _ in range(chance.choice((1, 2, 2))):
                kind = chance.choice((SITE, SITE, MORPHOLOGY, SUBSTANCE))
                attributes.add((code, chance.choice(active[:40]), kind, group + 1))
        if chance.random() < 0.3:
            attributes.add((code, chance.choice(active[:20]), LATERALITY, 0))
        if chance.random() < 0.05:
            attributes.add((code, code, SITE, 1))
    concrete = set()
    for code in active[20:]:
        if chance.random() < 0.5:
            value = chance.choice(("#1", "#2.5", "#2.50", "#-10", "#250"))
            concrete.add((code, value, STRENGTH, chance.choice((0, 1))))
        if chance.random() < 0.2:
            concrete.add((code, chance.choice(('"PANADOL"', '"panadol forte"')), NAME, 0))
        if chance.random() < 0.2:
            concrete.add((code, chance.choice(("true", "false")), LISTED, 1))
    rows = [
        (made_up(5000 + number, "12"), "20260131", int(number % 17 != 5 or kind == IS_A), CORE,
         source, value, group, kind, INFERRED, SOME)
        for number, (source, value, kind, group) in enumerate([*edges, *sorted(attributes)])
    ]  # fmt: skip
    out.write(
        "sct2_Relationship_Snapshot",
        RELATIONSHIP,
        rows,
    )
    out.write(
        "sct2_RelationshipConcreteValues_Snapshot",
        CONCRETE,
        [
            (made_up(8000 + number, "12"), "20260131", 1, CORE, source, value, group, kind,
             INFERRED, SOME)
            for number, (source, value, kind, group) in enumerate(sorted(concrete))
        ],
    )  # fmt: skip


def _write_refsets(out, chance, active, inactive):
    def common(refset, component):
        return (
            out.uuid(), chance.choice(_DATES), chance.choice((1, 1, 1, 0)),
            chance.choice((CORE, OTHER_MODULE)), refset, component,
        )  # fmt: skip

    out.write(
        "der2_Refset_SimpleSnapshot",
        MEMBER,
        [common(SIMPLE, code) for code in chance.sample(active + inactive, 30)],
    )
    pairs = [
        (chance.choice((SAME_AS, REPLACED_BY, POSSIBLY)), code, chance.choice(active))
        for code in inactive
        for _ in range(2)
    ]
    pairs += [(ASSOCIATED, code, chance.choice(active)) for code in chance.sample(active, 15)]
    out.write(
        "der2_cRefset_AssociationSnapshot",
        f"{MEMBER} targetComponentId",
        [(*common(refset, code), target) for refset, code, target in pairs],
    )
    out.write(
        "der2_iissscRefset_ComplexMapSnapshot",
        f"{MEMBER} mapGroup mapPriority mapRule mapAdvice mapTarget correlationId",
        [
            (*common(MAP, code), chance.randint(1, 3), chance.randint(1, 2), "TRUE",
             "ALWAYS " + chance.choice(("J45.9", "I21")), chance.choice(("J45.9", "J45.0", "I21")),
             chance.choice((DEFINED, PRIMITIVE)))
            for code in chance.sample(active, 25)
        ],
    )  # fmt: skip
