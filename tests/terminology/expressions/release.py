"""A small release of our own, written as RF2: enough for every rule of expressions."""

from pathlib import Path

from terminology.release.index import ReleaseIndex
from tests.terminology.writer import (
    CASE,
    CONCEPT,
    CONCRETE,
    CORE,
    DEFINED,
    DESCRIPTION,
    INFERRED,
    MEMBER,
    PRIMITIVE,
    RELATIONSHIP,
    SOME,
    Writer,
    index_of,
    made_up,
)

VERSION = "http://snomed.info/xsct/900000000000207008/version/20260101"
_DATE = "20260101"
_SYNONYM = "900000000000013009"
_IS_A = "116680003"
_MANDATORY, _OPTIONAL = "723597001", "723598006"
_ALL, _PRE, _POST = "723596005", "723594008", "723595009"


HAND_FRACTURE, LIMB_FRACTURE, LEFT_HAND_FRACTURE = made_up(11), made_up(12), made_up(13)
TWO_SITES, RETIRED, STRENGTH, TABLET, TABLET_5 = (made_up(n) for n in (14, 15, 16, 17, 18))
BROKEN, INFLAMED_HAND, COUNT, OTHER_RULES = (made_up(n) for n in (19, 20, 21, 22))

# Code, name, parents.
_CONCEPTS = [
    ("138875005", "SNOMED CT Concept", ()),
    ("900000000000441003", "SNOMED CT Model Component", ("138875005",)),
    ("900000000000455006", "Reference set", ("900000000000441003",)),
    *[
        (code, "Metadata", ("900000000000441003",))
        for code in (
            CORE,
            DEFINED,
            PRIMITIVE,
            _SYNONYM,
            CASE,
            INFERRED,
            SOME,
            _MANDATORY,
            _OPTIONAL,
            _ALL,
            _PRE,
            _POST,
        )
    ],
    (_IS_A, "Is a", ("106237007",)),
    ("723264001", "Lateralizable body structure reference set", ("900000000000455006",)),
    ("723561005", "MRCM attribute domain reference set", ("900000000000455006",)),
    ("723562003", "MRCM attribute range reference set", ("900000000000455006",)),
    ("723560006", "MRCM domain reference set", ("900000000000455006",)),
    ("723563008", "MRCM module scope reference set", ("900000000000455006",)),
    (OTHER_RULES, "Attribute domains of another edition", ("900000000000455006",)),
    ("106237007", "Linkage concept", ("900000000000441003",)),
    ("410662002", "Concept model attribute", ("106237007",)),
    ("272741003", "Laterality", ("410662002",)),
    ("363698007", "Finding site", ("410662002",)),
    ("116676008", "Associated morphology", ("410662002",)),
    ("363704007", "Procedure site", ("410662002",)),
    ("405813007", "Procedure site - Direct", ("363704007",)),
    ("246112005", "Severity", ("410662002",)),
    (STRENGTH, "Strength", ("410662002",)),
    (COUNT, "Count", ("410662002",)),
    ("362981000", "Qualifier value", ("138875005",)),
    ("182353008", "Side", ("362981000",)),
    ("7771000", "Left", ("182353008",)),
    ("24028007", "Right", ("182353008",)),
    ("51440002", "Right and left", ("182353008",)),
    ("123037004", "Body structure", ("138875005",)),
    ("91723000", "Anatomical structure", ("123037004",)),
    ("22943007", "Trunk", ("91723000",)),
    ("39607008", "Lung", ("22943007",)),
    ("53120007", "Upper limb", ("91723000",)),
    ("80768000", "Left upper limb", ("53120007",)),
    ("85562004", "Hand", ("53120007",)),
    ("85151006", "Left hand", ("85562004", "80768000")),
    ("78791008", "Right hand", ("85562004",)),
    ("49755003", "Morphologic abnormality", ("123037004",)),
    ("72704001", "Fracture", ("49755003",)),
    ("20946005", "Fracture, closed", ("72704001",)),
    ("23583003", "Inflammation", ("49755003",)),
    ("404684003", "Clinical finding", ("138875005",)),
    ("64572001", "Disease", ("404684003",)),
    (LIMB_FRACTURE, "Fracture of upper limb", ("64572001",)),
    (HAND_FRACTURE, "Fracture of hand", (LIMB_FRACTURE,)),
    (LEFT_HAND_FRACTURE, "Fracture of left hand", (HAND_FRACTURE,)),
    (INFLAMED_HAND, "Inflamed hand", ("64572001",)),
    (TWO_SITES, "Fracture of hand and of lung", (HAND_FRACTURE,)),
    (BROKEN, "Defined by what its parent says", (HAND_FRACTURE,)),
    ("71388002", "Procedure", ("138875005",)),
    ("373873005", "Pharmaceutical / biologic product", ("138875005",)),
    (TABLET, "Tablet", ("373873005",)),
    (TABLET_5, "Tablet of 5", (TABLET,)),
]
_DEFINITIONS = {
    "80768000": [(0, "272741003", "7771000")],
    "85151006": [(0, "272741003", "7771000")],
    LIMB_FRACTURE: [(1, "116676008", "72704001"), (1, "363698007", "53120007")],
    HAND_FRACTURE: [(1, "116676008", "72704001"), (1, "363698007", "85562004")],
    LEFT_HAND_FRACTURE: [(1, "116676008", "72704001"), (1, "363698007", "85151006")],
    INFLAMED_HAND: [(1, "116676008", "23583003"), (1, "363698007", "85562004")],
    BROKEN: [(1, "116676008", "72704001"), (1, "363698007", "85562004")],
    TWO_SITES: [
        (1, "116676008", "72704001"), (1, "363698007", "85562004"),
        (2, "116676008", "72704001"), (2, "363698007", "39607008"),
    ],
}  # fmt: skip
# What primitive concepts say of themselves.
_NECESSARY = {
    "53120007": [(0, "272741003", "182353008")],
    "85562004": [(0, "272741003", "182353008")],
    "78791008": [(0, "272741003", "24028007")],
}
_CONCRETE = {TABLET_5: [(1, STRENGTH, "#5")]}
_LATERALIZABLE = ("53120007", "85562004", "39607008")
_DOMAINS = [
    # attribute, domain, grouped, cardinality, in a group, strength, content
    ("272741003", "91723000", 0, "0..1", "0..0", _MANDATORY, _ALL),
    ("272741003", "723264001", 0, "0..1", "0..0", _OPTIONAL, _ALL),
    ("363698007", "404684003", 1, "0..*", "0..1", _MANDATORY, _ALL),
    ("116676008", "404684003", 1, "0..2", "0..1", _MANDATORY, _ALL),
    ("363704007", "71388002", 1, "0..*", "0..1", _MANDATORY, _PRE),
    ("405813007", "71388002", 1, "1..*", "0..1", _MANDATORY, _POST),
    (STRENGTH, "373873005", 1, "0..1", "0..1", _MANDATORY, _ALL),
    (COUNT, "373873005", 0, "0..1", "0..0", _MANDATORY, _ALL),
]
_RANGES = [
    ("272741003", "<< 182353008 |Side|", _MANDATORY, _ALL),
    ("272741003", "7771000 |Left| OR 24028007 |Right|", _OPTIONAL, _ALL),
    ("363698007", "<< 91723000 |Anatomical structure|", _MANDATORY, _ALL),
    ("116676008", "< 49755003 |Morphologic abnormality|", _MANDATORY, _ALL),
    ("405813007", "<< 91723000 OR << 49062001 |Device|", _MANDATORY, _POST),
    ("405813007", "<< 39607008", _MANDATORY, _PRE),
    (STRENGTH, "dec(>#0..#1000)", _MANDATORY, _ALL),
    (COUNT, "int(#1 #2 #4)", _MANDATORY, _ALL),
]


def write_release(
    folder: Path,
    *,
    model: bool = True,
    lateralizable: tuple[str, ...] = _LATERALIZABLE,
    anatomy: str | None = None,
    severity: bool = False,
    scope: bool = False,
    sides_in_groups: bool = False,
) -> None:
    """Write the Snapshot files.

    Without the MRCM, or with other lateralizable structures; with a constraint for the domain
    91723000 |Anatomical structure|; with a further reference set that lets findings have a
    severity; with a module scope that leaves that one out; with a model that groups sides.
    """
    out = Writer(folder, _DATE)
    concepts = [
        (code, DEFINED if code in _DEFINITIONS or code in _CONCRETE else PRIMITIVE, "1")
        for code, _, _ in _CONCEPTS
    ]
    concepts.append((RETIRED, PRIMITIVE, "0"))
    out.write(
        "sct2_Concept_Snapshot",
        CONCEPT,
        [(code, _DATE, active, CORE, status) for code, status, active in concepts],
    )
    names = [(code, name) for code, name, _ in _CONCEPTS] + [(RETIRED, "Retired concept")]
    out.write(
        "sct2_Description_Snapshot-en",
        DESCRIPTION,
        [
            (made_up(n, "11"), _DATE, "1", CORE, code, "en", _SYNONYM, name, CASE)
            for n, (code, name) in enumerate(names, start=1)
        ],
    )
    relations = [(code, parent, 0, _IS_A) for code, _, parents in _CONCEPTS for parent in parents]
    relations += [
        (code, value, group, kind)
        for table in (_DEFINITIONS, _NECESSARY)
        for code, attributes in table.items()
        for group, kind, value in attributes
    ]
    out.write(
        "sct2_Relationship_Snapshot",
        RELATIONSHIP,
        [
            (made_up(n, "12"), _DATE, "1", CORE, source, target, group, kind, INFERRED, SOME)
            for n, (source, target, group, kind) in enumerate(relations, start=1)
        ],
    )
    out.write(
        "sct2_RelationshipConcreteValues_Snapshot",
        CONCRETE,
        [
            (made_up(500 + n, "12"), _DATE, "1", CORE, code, value, group, kind, INFERRED, SOME)
            for n, (code, attributes) in enumerate(_CONCRETE.items())
            for group, kind, value in attributes
        ],
    )

    def members(refset: str, rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        return [(out.uuid(), _DATE, "1", CORE, refset, *row) for row in rows]

    out.write(
        "der2_Refset_SimpleSnapshot",
        MEMBER,
        members("723264001", [(one,) for one in lateralizable]),
    )
    if anatomy is not None:
        out.write(
            "der2_sssssssRefset_MRCMDomainSnapshot",
            f"{MEMBER} domainConstraint parentDomain proximalPrimitiveConstraint "
            "proximalPrimitiveRefinement domainTemplateForPrecoordination "
            "domainTemplateForPostcoordination guideURL",
            members("723560006", [("91723000", anatomy, *["-"] * 6)]),
        )
    if scope:
        out.write(
            "der2_cRefset_MRCMModuleScopeSnapshot",
            f"{MEMBER} mrcmRuleRefsetId",
            members("723563008", [(CORE, one) for one in ("723561005", "723562003")]),
        )
    if not model:
        return
    other = ("246112005", "404684003", 1, "0..1", "0..1", _MANDATORY, _ALL)
    out.write(
        "der2_cissccRefset_MRCMAttributeDomainSnapshot",
        f"{MEMBER} domainId grouped attributeCardinality attributeInGroupCardinality "
        "ruleStrengthId contentTypeId",
        members("723561005", _in_groups(_DOMAINS) if sides_in_groups else _DOMAINS)
        + (members(OTHER_RULES, [other]) if severity else []),
    )
    out.write(
        "der2_ssccRefset_MRCMAttributeRangeSnapshot",
        f"{MEMBER} rangeConstraint attributeRule ruleStrengthId contentTypeId",
        members(
            "723562003",
            [(attribute, constraint, "-", *rest) for attribute, constraint, *rest in _RANGES],
        ),
    )


def _in_groups(domains: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return the domain rules with 272741003 |Laterality| in groups."""
    return [
        (*rule[:2], 1, "0..*", "0..1", *rule[5:]) if rule[0] == "272741003" else rule
        for rule in domains
    ]


def index_in(folder: Path) -> ReleaseIndex:
    """Return the index of the release in a folder."""
    return index_of(folder, VERSION)
