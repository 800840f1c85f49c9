"""The few real concepts that a release cannot do without: metadata, attributes, hierarchy tops.

Codes and names are SNOMED CT's; everything else in a generated release is invented.
"""

from __future__ import annotations

from typing import NamedTuple

ROOT = 138875005
IS_A = 116680003
CORE_MODULE = 900000000000207008
MODEL_MODULE = 900000000000012004
PRIMITIVE = 900000000000074008
DEFINED = 900000000000073002
FSN = 900000000000003001
SYNONYM = 900000000000013009
DEFINITION = 900000000000550004
INSENSITIVE = 900000000000448009
INITIAL_INSENSITIVE = 900000000000020002
INFERRED = 900000000000011006
SOME = 900000000000451002
US_ENGLISH = 900000000000509007
GB_ENGLISH = 900000000000508004
PREFERRED = 900000000000548007
ACCEPTABLE = 900000000000549004
LATERALITY = 272741003
LEFT = 7771000
RIGHT = 24028007
LATERALIZABLE = 723264001
STRUCTURE_ENTIRE = 734138000
STRUCTURE_PART = 734139008
REPLACED_BY = 900000000000526001
SAME_AS = 900000000000527005
POSSIBLY_EQUIVALENT_TO = 900000000000523009
WAS_A = 900000000000528000
INACTIVATION = 900000000000489007
MODULE_DEPENDENCY = 900000000000534007
OWL_AXIOM = 733073007
ICD10_MAP = 447562003
ANATOMY = 91723000
BODY_STRUCTURE = 123037004


class Fixed(NamedTuple):
    """A real concept: `tag` is the semantic tag of its fully specified name."""

    code: int
    name: str
    tag: str
    parents: tuple[int, ...]


class Branch(NamedTuple):
    """A hierarchy to invent below the real concept `top`.

    Attributes
    ----------
    share
        Part of all active concepts.
    depth
        Levels below `top`: the mean of a bell curve.
    attributes
        Attribute rows a concept, on average, before all are scaled to the number wanted.
    uses
        Attribute codes and the tops of the branches that their values come from.
    """

    top: int
    tag: str
    share: float
    depth: float
    attributes: float = 0
    uses: tuple[tuple[int, int], ...] = ()


_DISEASE = 64572001
_MORPHOLOGY = 49755003
_ORGANISM = 410607006
_SUBSTANCE = 105590001
_QUALIFIER = 362981000
_PROCEDURE = 71388002
_OBSERVABLE = 363787002
_OBJECT = 260787004
_SOCIAL = 48176007

_OPERATIONS = (
    (260686004, _QUALIFIER),
    (405813007, ANATOMY),
    (260686004, _QUALIFIER),
    (405813007, ANATOMY),
    (363704007, ANATOMY),
    (405814001, ANATOMY),
    (424226004, _OBJECT),
    (363700003, _MORPHOLOGY),
    (260870009, _QUALIFIER),
)

BRANCHES = (
    Branch(
        _DISEASE,
        "disorder",
        0.212,
        8.5,
        9,
        (
            (363698007, ANATOMY),
            (116676008, _MORPHOLOGY),
            (363698007, ANATOMY),
            (116676008, _MORPHOLOGY),
            (246075003, _ORGANISM),
            (246075003, _SUBSTANCE),
            (370135005, _QUALIFIER),
            (246454002, _QUALIFIER),
            (42752001, _DISEASE),
        ),
    ),
    Branch(
        404684003,
        "finding",
        0.06,
        6,
        4,
        ((363714003, _OBSERVABLE), (363713009, _QUALIFIER), (363698007, ANATOMY)),
    ),
    Branch(362958002, "procedure", 0.085, 7.5, 9, _OPERATIONS),
    Branch(_PROCEDURE, "procedure", 0.07, 7, 7, _OPERATIONS),
    Branch(ANATOMY, "body structure", 0.092, 8, 1.5, ((774081006, ANATOMY), (733928003, ANATOMY))),
    Branch(_MORPHOLOGY, "morphologic abnormality", 0.016, 6),
    Branch(_ORGANISM, "organism", 0.09, 8),
    Branch(
        _SUBSTANCE, "substance", 0.075, 7, 2, ((726542003, _QUALIFIER), (738774007, _SUBSTANCE))
    ),
    Branch(
        373873005,
        "medicinal product",
        0.08,
        7,
        9,
        (
            (127489000, _SUBSTANCE),
            (732943007, _SUBSTANCE),
            (411116001, _QUALIFIER),
            (763032000, _QUALIFIER),
            (766939001, _QUALIFIER),
        ),
    ),
    Branch(_OBJECT, "physical object", 0.045, 5),
    Branch(
        _OBSERVABLE,
        "observable entity",
        0.05,
        6,
        6,
        (
            (370130000, _QUALIFIER),
            (704319004, ANATOMY),
            (246093002, _SUBSTANCE),
            (370134009, _QUALIFIER),
            (370132008, _QUALIFIER),
        ),
    ),
    Branch(_QUALIFIER, "qualifier value", 0.035, 5),
    Branch(
        243796009,
        "situation",
        0.04,
        5,
        5,
        (
            (246090004, _DISEASE),
            (408729009, _QUALIFIER),
            (408731000, _QUALIFIER),
            (408732007, _SOCIAL),
        ),
    ),
    Branch(272379006, "event", 0.012, 5),
    Branch(_SOCIAL, "social concept", 0.012, 5),
    Branch(308916002, "environment", 0.007, 4),
    Branch(
        123038009,
        "specimen",
        0.008,
        4,
        4,
        ((118169006, ANATOMY), (118168003, _MORPHOLOGY), (118171006, _PROCEDURE)),
    ),
    Branch(254291000, "assessment scale", 0.005, 4),
    Branch(419891008, "record artifact", 0.004, 4),
    Branch(78621006, "physical force", 0.001, 3),
    Branch(370115009, "special concept", 0.001, 3),
)

# Branches that have concrete values: strengths and counts of medicinal products.
CONCRETE_TOP = 373873005
CONCRETE_TYPES = (1142135004, 1142137007, 1142139005)

_META = "foundation metadata concept"
_CORE = "core metadata concept"


def _read(table: str) -> tuple[Fixed, ...]:
    rows = (line.split("|") for line in table.strip().splitlines())
    return tuple(
        Fixed(int(code), name, tag, tuple(int(parent) for parent in parents.split()))
        for code, name, tag, parents in rows
    )


FIXED = _read(f"""
138875005|SNOMED CT Concept|SNOMED RT+CTV3|
404684003|Clinical finding|finding|138875005
64572001|Disease|disorder|404684003
71388002|Procedure|procedure|138875005
362958002|Procedure by site|procedure|71388002
123037004|Body structure|body structure|138875005
442083009|Anatomical or acquired body structure|body structure|123037004
91723000|Anatomical structure|body structure|442083009
118956008|Body structure, altered from its original anatomical structure|\
morphologic abnormality|123037004
49755003|Morphologically abnormal structure|morphologic abnormality|118956008
410607006|Organism|organism|138875005
105590001|Substance|substance|138875005
373873005|Pharmaceutical / biologic product|product|138875005
260787004|Physical object|physical object|138875005
363787002|Observable entity|observable entity|138875005
362981000|Qualifier value|qualifier value|138875005
243796009|Situation with explicit context|situation|138875005
272379006|Event|event|138875005
48176007|Social context|social concept|138875005
308916002|Environment or geographical location|environment / location|138875005
123038009|Specimen|specimen|138875005
254291000|Staging and scales|staging scale|138875005
419891008|Record artifact|record artifact|138875005
78621006|Physical force|physical force|138875005
370115009|Special concept|special concept|138875005
182353008|Side|qualifier value|362981000
7771000|Left|qualifier value|182353008
24028007|Right|qualifier value|182353008
900000000000441003|SNOMED CT Model Component|metadata|138875005
106237007|Linkage concept|linkage concept|900000000000441003
246061005|Attribute|attribute|106237007
410662002|Concept model attribute|attribute|246061005
762705008|Concept model object attribute|attribute|410662002
762706009|Concept model data attribute|attribute|410662002
116680003|Is a|attribute|246061005
363698007|Finding site|attribute|762705008
116676008|Associated morphology|attribute|762705008
47429007|Associated with|attribute|762705008
246075003|Causative agent|attribute|47429007
42752001|Due to|attribute|47429007
370135005|Pathological process|attribute|762705008
246454002|Occurrence|attribute|762705008
363714003|Interprets|attribute|762705008
363713009|Has interpretation|attribute|762705008
260686004|Method|attribute|762705008
363704007|Procedure site|attribute|762705008
405813007|Procedure site - Direct|attribute|363704007
405814001|Procedure site - Indirect|attribute|363704007
424226004|Using device|attribute|762705008
363700003|Direct morphology|attribute|762705008
260870009|Priority|attribute|762705008
733928003|All or part of|attribute|762705008
774081006|Proper part of|attribute|733928003
272741003|Laterality|attribute|762705008
726542003|Has disposition|attribute|762705008
738774007|Is modification of|attribute|762705008
762951001|Has ingredient|attribute|762705008
127489000|Has active ingredient|attribute|762951001
732943007|Has basis of strength substance|attribute|762705008
411116001|Has manufactured dose form|attribute|762705008
763032000|Has unit of presentation|attribute|762705008
766939001|Plays role|attribute|762705008
370130000|Property|attribute|762705008
704319004|Inheres in|attribute|762705008
246093002|Component|attribute|762705008
370134009|Time aspect|attribute|762705008
370132008|Scale type|attribute|762705008
246090004|Associated finding|attribute|762705008
408729009|Finding context|attribute|762705008
408731000|Temporal context|attribute|762705008
408732007|Subject relationship context|attribute|762705008
118169006|Specimen source topography|attribute|762705008
118168003|Specimen source morphology|attribute|762705008
118171006|Specimen procedure|attribute|762705008
1142135004|Has presentation strength numerator value|attribute|762706009
1142137007|Has concentration strength numerator value|attribute|762706009
1142139005|Count of base of active ingredient|attribute|762706009
900000000000442005|Core metadata concept|{_CORE}|900000000000441003
900000000000443000|Module|{_CORE}|900000000000442005
900000000000207008|SNOMED CT core module|{_CORE}|900000000000443000
900000000000012004|SNOMED CT model component module|{_CORE}|900000000000443000
900000000000444006|Definition status|{_CORE}|900000000000442005
900000000000074008|Not sufficiently defined by necessary conditions|{_CORE}|900000000000444006
900000000000073002|Sufficiently defined by necessary conditions|{_CORE}|900000000000444006
900000000000446008|Description type|{_CORE}|900000000000442005
900000000000003001|Fully specified name|{_CORE}|900000000000446008
900000000000013009|Synonym|{_CORE}|900000000000446008
900000000000550004|Definition|{_CORE}|900000000000446008
900000000000447004|Case significance|{_CORE}|900000000000442005
900000000000448009|Entire term case insensitive|{_CORE}|900000000000447004
900000000000017005|Entire term case sensitive|{_CORE}|900000000000447004
900000000000020002|Only initial character case insensitive|{_CORE}|900000000000447004
900000000000449001|Characteristic type|{_CORE}|900000000000442005
900000000000006009|Defining relationship|{_CORE}|900000000000449001
900000000000010007|Stated relationship|{_CORE}|900000000000006009
900000000000011006|Inferred relationship|{_CORE}|900000000000006009
900000000000227009|Additional relationship|{_CORE}|900000000000449001
900000000000450001|Modifier|{_CORE}|900000000000442005
900000000000451002|Existential restriction modifier|{_CORE}|900000000000450001
900000000000454005|Foundation metadata concept|{_META}|900000000000441003
900000000000455006|Reference set|{_META}|900000000000454005
900000000000457003|Reference set attribute|{_META}|900000000000454005
900000000000511003|Acceptability|{_META}|900000000000457003
900000000000548007|Preferred|{_META}|900000000000511003
900000000000549004|Acceptable|{_META}|900000000000511003
900000000000481005|Concept inactivation value|{_META}|900000000000457003
900000000000482003|Duplicate component|{_META}|900000000000481005
900000000000483008|Outdated component|{_META}|900000000000481005
900000000000484002|Ambiguous component|{_META}|900000000000481005
900000000000506000|Language type reference set|{_META}|900000000000455006
900000000000507009|English language reference set|{_META}|900000000000506000
900000000000508004|Great Britain English language reference set|{_META}|900000000000507009
900000000000509007|United States of America English language reference set|{_META}|\
900000000000507009
446609009|Simple type reference set|{_META}|900000000000455006
723264001|Lateralizable body structure reference set|{_META}|446609009
900000000000521006|Association type reference set|{_META}|900000000000455006
900000000000522004|Historical association reference set|{_META}|900000000000521006
900000000000523009|POSSIBLY EQUIVALENT TO association reference set|{_META}|900000000000522004
900000000000526001|REPLACED BY association reference set|{_META}|900000000000522004
900000000000527005|SAME AS association reference set|{_META}|900000000000522004
900000000000528000|WAS A association reference set|{_META}|900000000000522004
734138000|Anatomy structure and entire association reference set|{_META}|900000000000521006
734139008|Anatomy structure and part association reference set|{_META}|900000000000521006
900000000000480006|Attribute value type reference set|{_META}|900000000000455006
900000000000488004|Inactivation indicator reference set|{_META}|900000000000480006
900000000000489007|Concept inactivation indicator reference set|{_META}|900000000000488004
900000000000534007|Module dependency reference set|{_META}|900000000000455006
762676003|OWL expression type reference set|{_META}|900000000000455006
733073007|OWL axiom reference set|{_META}|762676003
609331003|Extended map type reference set|{_META}|900000000000455006
447562003|ICD-10 complex map reference set|{_META}|609331003
723604009|MRCM attribute domain reference set|{_META}|900000000000455006
723561005|MRCM attribute domain international reference set|{_META}|723604009
723592007|MRCM attribute range reference set|{_META}|900000000000455006
723562003|MRCM attribute range international reference set|{_META}|723592007
723573005|Concept model rule strength|{_META}|900000000000457003
723597001|Mandatory concept model rule|{_META}|723573005
723574004|Content type|{_META}|900000000000457003
723594008|All precoordinated SNOMED CT content|{_META}|723574004
723595009|All postcoordinated SNOMED CT content|{_META}|723574004
723596005|All SNOMED CT content|{_META}|723594008 723595009
""")
