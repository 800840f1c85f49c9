import pytest

from terminology.expressions import (
    ExpressionError,
    compare,
    describe,
    equivalent_concept,
    normal_expression,
    normalise,
    parents,
    subsumes,
    supertypes,
)

from .release import (
    BROKEN,
    HAND_FRACTURE,
    INFLAMED_HAND,
    LEFT_HAND_FRACTURE,
    LIMB_FRACTURE,
    STRENGTH,
    TABLET,
    TABLET_5,
    TWO_SITES,
)

LEFT_HAND = "85562004:272741003=7771000"
SITE, MORPHOLOGY = "363698007", "116676008"
NAMED_SITE = "363698007|Finding site|"
NAMED_LEFT_HAND = "85562004|Hand|:272741003|Laterality|=7771000|Left|"
FRACTURE = "64572001|Disease|:{116676008|Associated morphology|=72704001|Fracture|,"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # Codes: the release's own hierarchy.
        ("85562004", "85562004", "equivalent"),
        ("53120007", "85151006", "subsumes"),
        ("85151006", "53120007", "subsumed-by"),
        ("39607008", "85562004", "not-subsumed"),
        # An expression is below its focus and what is above that.
        ("85562004", LEFT_HAND, "subsumes"),
        (LEFT_HAND, "91723000", "subsumed-by"),
        (LEFT_HAND, "39607008", "not-subsumed"),
        # It equals the concept that is defined so, and no primitive one.
        (LEFT_HAND, "85151006", "equivalent"),
        ("=== " + LEFT_HAND, "85151006", "equivalent"),
        ("85562004:272741003=24028007", "78791008", "subsumes"),
        # And is below what is defined by less.
        ("80768000", LEFT_HAND, "subsumes"),
        ("53120007:272741003=7771000", "85151006", "subsumes"),
        # Laterality is the same inside braces.
        (LEFT_HAND, "85562004:{272741003=7771000}", "equivalent"),
        # A more general value; the hand has a side by its own definition.
        ("85562004:272741003=182353008", LEFT_HAND, "subsumes"),
        ("85562004:272741003=182353008", "85562004", "equivalent"),
        (LEFT_HAND, "85562004:272741003=24028007", "not-subsumed"),
        # Order, terms and repetition say nothing.
        (f"85562004+64572001:{SITE}=39607008", f"64572001+85562004:{SITE}=39607008", "equivalent"),
        (f"{LEFT_HAND},272741003=7771000", LEFT_HAND, "equivalent"),
        # Several focus concepts.
        ("85562004", "85562004+80768000", "subsumes"),
        ("85562004+80768000", "85151006", "equivalent"),
        # Groups hold together.
        (HAND_FRACTURE, f"64572001:{{{MORPHOLOGY}=72704001,{SITE}=85562004}}", "equivalent"),
        (HAND_FRACTURE, f"64572001:{{{MORPHOLOGY}=72704001}},{{{SITE}=85562004}}", "subsumed-by"),
        (HAND_FRACTURE, f"64572001:{MORPHOLOGY}=72704001,{SITE}=85562004", "subsumed-by"),
        (LIMB_FRACTURE, f"64572001:{{{MORPHOLOGY}=20946005,{SITE}=85151006}}", "subsumes"),
        # A loose attribute refines the one group that it fits.
        (LEFT_HAND_FRACTURE, f"{HAND_FRACTURE}:{SITE}=85151006", "equivalent"),
        (LEFT_HAND_FRACTURE, f"{HAND_FRACTURE}:{SITE}=({LEFT_HAND})", "equivalent"),
        (LEFT_HAND_FRACTURE, f"{TWO_SITES}:{SITE}=85151006", "subsumes"),
        (
            f"{TWO_SITES}:{MORPHOLOGY}=20946005",
            f"{TWO_SITES}:{{{MORPHOLOGY}=20946005}}",
            "equivalent",
        ),
        (LEFT_HAND_FRACTURE, f"==={HAND_FRACTURE}:{SITE}=85151006", "equivalent"),
        # A written group stands beside, and so does what refines a group in two ways.
        (LEFT_HAND_FRACTURE, f"{HAND_FRACTURE}:{{{SITE}=85151006}}", "subsumed-by"),
        (LEFT_HAND_FRACTURE, f"{HAND_FRACTURE}:{SITE}=85151006,{SITE}=78791008", "not-subsumed"),
        # Nested expressions as values.
        (f"64572001:{SITE}=53120007", f"64572001:{SITE}=({LEFT_HAND})", "subsumes"),
        (f"64572001:{SITE}=({LEFT_HAND})", f"64572001:{SITE}=85151006", "equivalent"),
        (f"64572001:{SITE}=({LEFT_HAND})", f"64572001:{SITE}=85562004", "subsumed-by"),
        # A more general attribute.
        ("71388002:{363704007=39607008}", "71388002:{405813007=39607008}", "subsumes"),
        # Concrete values are equal by value.
        (TABLET_5, f"{TABLET}:{STRENGTH}=#5.0", "equivalent"),
        (TABLET_5, f"{TABLET}:{{{STRENGTH}=#+5}}", "equivalent"),
        (TABLET_5, f"{TABLET}:{STRENGTH}=#5.1", "not-subsumed"),
        (TABLET_5, f'{TABLET}:{STRENGTH}="5"', "not-subsumed"),
        # What is a subtype only (<<<) subsumes nothing but itself.
        (f"<<<{LEFT_HAND}", "85151006", "subsumed-by"),
        (f"<<<{LEFT_HAND}", LEFT_HAND, "subsumed-by"),
        (f"<<<{LEFT_HAND}", f"<<< {LEFT_HAND}", "equivalent"),
        # A definition that the hierarchy contradicts is not believed.
        (BROKEN, f"64572001:{{{MORPHOLOGY}=72704001,{SITE}=85562004}}", "subsumed-by"),
    ],
)  # fmt: skip
def test_outcome(release, a, b, expected):
    assert compare(a, b, release) == expected
    swapped = {"subsumes": "subsumed-by", "subsumed-by": "subsumes"}
    assert compare(b, a, release) == swapped.get(expected, expected)
    assert subsumes(a, b, release) == (expected in {"equivalent", "subsumes"})


@pytest.mark.parametrize(
    ("text", "above", "equal"),
    [
        (LEFT_HAND, {"Hand", "Left upper limb"}, "Left hand"),
        ("85562004:272741003=24028007", {"Hand"}, None),
        ("39607008:272741003=7771000", {"Lung"}, None),
        ("85151006", {"Hand", "Left upper limb"}, "Left hand"),
        ("78791008", {"Hand"}, "Right hand"),
        (f"64572001:{{{MORPHOLOGY}=20946005,{SITE}=85151006}}", {"Fracture of left hand"}, None),
        (
            f"64572001:{{{MORPHOLOGY}=72704001,{SITE}=85562004}},{{{MORPHOLOGY}=23583003,{SITE}=85562004}}",
            {"Fracture of hand", "Inflamed hand"},
            None,
        ),
        (f"{HAND_FRACTURE}+{INFLAMED_HAND}", {"Fracture of hand", "Inflamed hand"}, None),
        (f"64572001:{SITE}=({LEFT_HAND})", {"Disease"}, None),
    ],
)
def test_nearest_supertypes_and_the_equal_concept(release, text, above, equal):
    assert {release.display(one) for one in parents(text, release)} == above
    found = equivalent_concept(text, release)
    assert (None if found is None else release.display(found)) == equal


@pytest.mark.parametrize(
    "text",
    [
        LEFT_HAND,
        "85562004+80768000",
        f"{HAND_FRACTURE}:{SITE}=85151006",
        f"{HAND_FRACTURE}+{INFLAMED_HAND}",
        f"{TWO_SITES}:{SITE}=({LEFT_HAND})",
        f"<<<{TABLET}:{STRENGTH}=#5",
    ],
)
def test_supertypes_are_the_concepts_that_subsume(release, text):
    every = {one for one in release.all if subsumes(release.code(one), text, release)}
    assert set(supertypes(text, release)) == every


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("85151006", NAMED_LEFT_HAND),
        (
            f"=== {HAND_FRACTURE}:{SITE}=53120007",
            f"{FRACTURE}{NAMED_SITE}=85562004|Hand|}}",
        ),
        (
            f"{HAND_FRACTURE}:{SITE}=(85562004:272741003=7771000,272741003=182353008)",
            f"{FRACTURE}{NAMED_SITE}=({NAMED_LEFT_HAND})}}",
        ),
        (
            f"{HAND_FRACTURE}+{HAND_FRACTURE}:{{{SITE}=({LEFT_HAND}),{SITE}=85151006}}",
            f"{FRACTURE}{NAMED_SITE}=85562004|Hand|}},{{{NAMED_SITE}=85151006|Left hand|}}",
        ),
        (f"{TABLET}:{STRENGTH}=#+5.50", f"{TABLET}|Tablet|:{{{STRENGTH}|Strength|=#5.5}}"),
        (f'{TABLET}:{STRENGTH}="x"', f'{TABLET}|Tablet|:{{{STRENGTH}|Strength|="x"}}'),
        (f"{TABLET}:{STRENGTH}=True", f"{TABLET}|Tablet|:{{{STRENGTH}|Strength|=true}}"),
    ],
)
def test_normal_form(release, text, expected):
    found = normal_expression(normalise(text, release), release)
    assert describe(found, release) == expected
    assert compare(found, text, release) == "equivalent"


def test_an_unknown_concept_is_an_error(release):
    with pytest.raises(ExpressionError, match="unknown concept '240280071'"):
        compare("85562004", "85562004:272741003=240280071", release)


def test_the_embedded_subset_answers_the_same(embedded):
    assert compare(LEFT_HAND, "85151006", embedded) == "equivalent"
    assert compare(LEFT_HAND, "53120007", embedded) == "subsumed-by"
    assert embedded.code(equivalent_concept("85562004:272741003=24028007", embedded)) == "78791008"
    assert equivalent_concept("85562004:272741003=51440002", embedded) is None
