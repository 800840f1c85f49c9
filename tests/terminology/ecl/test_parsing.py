import pytest

from terminology.ecl import parse, render
from terminology.ecl.parsing import DEEPEST
from terminology.errors import EclError

LONG_FORMS = [
    ("descendantOf 85562004", "< 85562004"),
    ("DESCENDANTORSELFOF 85562004", "<< 85562004"),
    ("childOf 85562004", "<! 85562004"),
    ("childOrSelfOf 85562004", "<<! 85562004"),
    ("ancestorOf 85562004", "> 85562004"),
    ("ancestorOrSelfOf 85562004", ">> 85562004"),
    ("parentOf 85562004", ">! 85562004"),
    ("parentOrSelfOf 85562004", ">>! 85562004"),
    ("top (85562004 or 7569003)", "!!> (85562004 OR 7569003)"),
    ("bottom (85562004 OR 7569003)", "!!< (85562004 OR 7569003)"),
    ("memberOf 723264001", "^ 723264001"),
    ("descendantOf memberOf 723264001", "< ^ 723264001"),
    ("memberOf [any] 723264001", "^ [*] 723264001"),
    ("ANY", "*"),
    ("< 85562004 : reverseOf 363698007 = any", "< 85562004 : R 363698007 = *"),
    ("* : [1 to 3] 363698007 = *", "* : [1..3] 363698007 = *"),
    ("* : [0 TO many] 363698007 = *", "* : [0..*] 363698007 = *"),
    ("* : 363698007 NOT = 85562004", "* : 363698007 != 85562004"),
    ("* : 363698007 not/* */= 85562004", "* : 363698007 != 85562004"),
    ("* : 363698007 <> 85562004", "* : 363698007 != 85562004"),
    ("* {{ type = (synonym fullySpecifiedName definition) }}", "* {{ D type = (syn fsn def) }}"),
    ("* {{ dialect = en-GB (preferred) }}", "* {{ D dialect = en-gb (prefer) }}"),
    ("* {{ dialect = en-us (acceptable) }}", "* {{ D dialect = en-us (accept) }}"),
]
BRIEF_FORMS = [
    ("85562004|Hand|", "85562004 |Hand|"),
    ("85562004 |  any (term) & <more> \t|", "85562004 |any (term) & <more>|"),
    ("((( 85562004 )))", "85562004"),
    ("< (^ 723264001)", "< ^ 723264001"),
    ("/* a */ 85562004 /* b\n|c| ** */", "85562004"),
    ("85562004 , 7569003", "85562004 AND 7569003"),
    ("85562004AND 7569003", "85562004 AND 7569003"),
    ("(85562004 OR 7569003) MINUS 7569003", "(85562004 OR 7569003) MINUS 7569003"),
    ("85562004.363698007.272741003", "85562004 . 363698007 . 272741003"),
    ("*:R363698007=*", "* : R 363698007 = *"),
    ("*:363698007=*,{[0..1]272741003=*}", "* : 363698007 = *, { [0..1] 272741003 = * }"),
    ("* : (363698007 = * OR (272741003 = *))", "* : 363698007 = * OR 272741003 = *"),
    ("* : (363698007 = * OR {272741003 = *}), 363698007 = *",
     "* : (363698007 = * OR { 272741003 = * }), 363698007 = *"),
    ("* : 363698007 = (85562004 : 272741003 = *)", "* : 363698007 = (85562004 : 272741003 = *)"),
    ("* : (<< 410662002 MINUS 363698007) = *", "* : (<< 410662002 MINUS 363698007) = *"),
    ("* : 363698007 >= #-2.50", "* : 363698007 >= #-2.50"),
    ("* : 363698007<#+5", "* : 363698007 < #5"),
    ('* : 363698007 = "PANADOL"', '* : 363698007 = "PANADOL"'),
    ('* : 363698007 != ("a" wild:"b*")', '* : 363698007 != ("a" wild:"b*")'),
    ("* : 363698007 = TRUE", "* : 363698007 = true"),
    ("LOINC#54486-6", "LOINC#54486-6"),
    ('"LOINC#54486-6" |x|', "LOINC#54486-6 |x|"),
    ('LOINC#"54 486"', '"LOINC#54 486"'),
    ("^[mapTarget,mapGroup]723264001", "^ [mapTarget, mapGroup] 723264001"),
    ("^723264001{{m active=0}}{{M mapTarget=\"J45\",mapGroup=#1}}",
     '^ 723264001 {{ M active = false }} {{ M mapTarget = "J45", mapGroup = #1 }}'),
    ('^ 723264001 {{ M sourceEffectiveTime >= "20200101", mapRule = "" }}',
     '^ 723264001 {{ M sourceEffectiveTime >= "20200101", mapRule = "" }}'),
    ('^ 723264001 {{ M mapTarget = "ICD#1" }}', '^ 723264001 {{ M mapTarget = "ICD#1" }}'),
    ("* {{ term = \"heart  att\" }}", '* {{ D term = "heart att" }}'),
    ('*{{Dterm="a"}}{{Cactive=1}}', '* {{ D term = "a" }} {{ C active = true }}'),
    (r'* {{ term = ("a \" \\ b" wild:"\*c\"*") }}',
     r'* {{ D term = ("a \" \\ b" wild:"\*c\"*") }}'),
    ("* {{ language = (EN sv), id = 3032638017 }}",
     "* {{ D language = (en sv), id = 3032638017 }}"),
    ("* {{ dialect = (en-gb (prefer accept) en-us) (accept) }}",
     "* {{ D dialect = (en-gb (prefer accept) en-us) (accept) }}"),
    ("* {{ dialectId = (900000000000509007 |US| (prefer) 900000000000508004) }}",
     "* {{ D dialectId = (900000000000509007 |US| (prefer) 900000000000508004) }}"),
    ("* {{ dialectId = < 900000000000506000 (900000000000548007) }}",
     "* {{ D dialectId = < 900000000000506000 (900000000000548007) }}"),
    ("* {{ typeId = (900000000000003001 900000000000013009) }}",
     "* {{ D typeId = (900000000000003001 900000000000013009) }}"),
    ("* {{ moduleId != << 900000000000443000 }}", "* {{ D moduleId != << 900000000000443000 }}"),
    ('* {{ C effectiveTime > ("20200101" "20210101") }}',
     '* {{ C effectiveTime > ("20200101" "20210101") }}'),
    ("* {{ c definitionStatus = (primitive DEFINED) }}",
     "* {{ C definitionStatus = (primitive defined) }}"),
    ("* {{ C definitionStatusId = 900000000000073002 }}",
     "* {{ C definitionStatusId = 900000000000073002 }}"),
    ("* {{+HISTORY}}", "* {{ + HISTORY }}"),
    ("* {{ + history_min }}", "* {{ + HISTORY-MIN }}"),
    ("* {{+ History-Mod }}", "* {{ + HISTORY-MOD }}"),
    ("* {{ + HISTORY (* OR 85562004) }}", "* {{ + HISTORY (* OR 85562004) }}"),
    ("(85562004 {{ + HISTORY }}) {{ C active = 0 }}",
     "(85562004 {{ + HISTORY }}) {{ C active = false }}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "canonical"), LONG_FORMS + BRIEF_FORMS)
def test_every_form_is_read_and_rendered_in_brief_syntax(text, canonical):
    tree = parse(text)
    assert render(tree) == canonical
    assert parse(canonical) == tree


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "the expression ends"),
        ("<<", 2, "the expression ends"),
        ("<< 10200004 <<", 12, "does not belong there"),
        ("<< abc", 3, "'abc' does not belong there"),
        ("(85562004", 9, r"expected '\)'"),
        ("85562004)", 8, "does not belong there"),
        ("85562004 7569003", 9, "does not belong there"),
        ("85562004 OR", 11, "the expression ends"),
        ("85562004 OR7569003", 9, "'OR7569003' does not belong there"),
        ("85562004 AND 7569003 OR 39607008", 21, "'OR' does not belong there"),
        ("85562004 MINUS 7569003 MINUS 39607008", 23, "does not belong there"),
        ("* : 363698007 = * , 272741003 = * OR 272741003 = *", 34, "'OR' does not belong"),
        ("< < 85562004", 2, "does not belong there"),
        ("descendantOf85562004", 0, "does not belong there"),
        ("85562005", 0, "fails the SNOMED CT check digit"),
        ("<< 12345", 3, "has 5 digits"),
        ("3032638017", 0, "names no concept"),
        ("85562004 ||", 9, "does not belong there"),
        ("85562004 |a", 9, "does not belong there"),
        ("85562004 /* a", 9, "does not belong there"),
        ("85562004 : 363698007", 20, "expected '='"),
        ("* : 363698007 > 85562004", 16, "a number such as #10"),
        ("* : 363698007 = #05", 18, "does not belong there"),
        ("* : [3..1] 363698007 = *", 4, "more at least than at most"),
        (f"* : [0..{'9' * 5000}] 363698007 = *", 4, "a number too large"),
        ("* : [ 1..3] 363698007 = *", 4, "does not belong there"),
        ("* : {{ 363698007 = * }}", 5, "does not belong there"),
        ("* : { { 363698007 = * } }", 6, "does not belong there"),
        ("* : 363698007 = * MINUS 85562004", 18, "does not belong there"),
        ("* . 363698007 = *", 14, "does not belong there"),
        ('* {{ term = "a" OR term = "b" }}', 16, "does not belong there"),
        ('* {{ term = ("a""b") }}', 16, "does not belong there"),
        ('* {{ term = "" }}', 12, "does not belong there"),
        ('* {{ C term = "a" }}', 7, "expected active or definitionStatus"),
        ("* {{ type = noun }}", 12, "expected .* fsn or syn"),
        ("* {{ language = eng }}", 16, "a language code"),
        ("* {{ id = 85562004 }}", 10, "names no description"),
        ('* {{ effectiveTime = "20201301" }}', 21, "a date"),
        ("85562004 {{ M active = 1 }}", 9, "no reference set to filter"),
        ('^ 723264001 {{ D term = "a" }} {{ M active = 1 }}', 31, "out of order"),
        ("* {{ + HISTORY }} {{ C active = 1 }}", 18, "out of order"),
        ("* {{ + HISTORY-MIN (*) }}", 19, "does not belong there"),
        ("^ [mapTarget mapGroup] 723264001", 13, "expected ',' or '\\]'"),
        ("85562004\u00a0OR 7569003", 8, "does not belong there"),
    ],
)  # fmt: skip
def test_what_is_no_constraint_is_refused_with_its_place_and_what_was_expected(
    text, position, message
):
    with pytest.raises(EclError, match=message) as caught:
        parse(text)
    assert caught.value.position == position


def test_members_of_a_set_are_parted_by_white_space():
    parse("* {{ typeId = (900000000000003001 |a| 900000000000013009) }}")
    with pytest.raises(EclError, match="does not belong there"):
        parse("* {{ typeId = (900000000000003001 |a|900000000000013009) }}")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "85562004" + ")" * 10_000,
        "<<(" * 10_000 + "85562004" + ")" * 10_000,
        "* : " + "(" * 10_000 + "363698007 = *" + ")" * 10_000,
        "85562004 {{ + HISTORY (" * 5_000 + "*" + ") }}" * 5_000,
    ],
)
def test_deep_nesting_is_refused_and_does_not_crash(text):
    with pytest.raises(EclError, match="nested too deep"):
        parse(text)


def test_the_deepest_nesting_that_is_allowed_is_parsed_rendered_and_compared():
    text = "<< (" * DEEPEST + "85562004" + ")" * DEEPEST
    tree = parse(text)
    assert parse(render(tree)) == tree
    assert hash(tree) == hash(parse(render(tree)))


def test_brackets_in_terms_texts_and_comments_are_no_nesting():
    text = f'85562004 |{"(" * 200}| /* {"(" * 200} */ {{{{ term = "{"(" * 200}" }}}}'
    assert render(parse(text)).startswith("85562004 |((")


def test_a_list_of_thousands_of_codes_is_parsed():
    text = " OR ".join(["85562004 |Hand|"] * 3000)
    assert len(parse(text).operands) == 3000


def test_an_error_shows_a_long_expression_cut():
    with pytest.raises(EclError) as caught:
        parse(" OR ".join(["85562004"] * 3000) + " AND")
    assert len(str(caught.value)) < 3000
