"""A SNOMED CT release in miniature, with terms of our own, for the tests of the provider."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import NAMESPACE_OID, uuid5

from api.tx.snomed import SnomedProvider
from terminology.identifiers import verhoeff_ok
from terminology.release.build import compile_rows
from terminology.release.index import ReleaseIndex
from terminology.rf2.reader import read_release

VERSION = "http://snomed.info/xsct/31000003106/version/20250909"
CORE = "900000000000207008"
US, GB, DE = "900000000000509007", "900000000000508004", "722130004"
FSN, SYNONYM, DEFINITION = "900000000000003001", "900000000000013009", "900000000000550004"
PREFERRED, ACCEPTABLE = "900000000000548007", "900000000000549004"
IS_A = "116680003"

# code → (parents, preferred term); a leading ! makes the concept inactive, = defines it.
CONCEPTS = {
    "138875005": ("", "Root"),
    "123037004": ("138875005", "Body structure"),
    "53120007": ("123037004", "Arm"),
    "85562004": ("53120007", "Hand"),
    "85151006": ("85562004", "=Left hand"),
    "7569003": ("85562004", "Finger"),
    "10200004": ("123037004", "Liver"),
    "119216005": ("10200004", "Liver part"),
    "32849002": ("123037004", "Esophagus"),
    "816094009": ("123037004", "Chest"),
    "51185008": ("", "!Thorax, former"),
    "155729003": ("", "!Hepatitis, former"),
    "23583003": ("123037004", "Inflammation"),
    "404684003": ("138875005", "Finding"),
    "64572001": ("404684003", "Disease"),
    "128241005": ("64572001", "=Hepatitis"),
    "40468003": ("128241005", "Hepatitis A"),
    "362981000": ("138875005", "Qualifier value"),
    "182353008": ("362981000", "Side"),
    "7771000": ("182353008", "Left"),
    "24028007": ("182353008", "Right"),
    "900000000000441003": ("138875005", "Model component"),
    "106237007": ("900000000000441003", "Linkage"),
    "410662002": ("106237007", "Attribute of the model"),
    "363698007": ("410662002", "Finding site"),
    "116676008": ("410662002", "Associated morphology"),
    "272741003": ("410662002", "Laterality"),
    IS_A: ("106237007", "Is a"),
    "1142139005": ("410662002", "Count of something"),
    "900000000000455006": ("900000000000441003", "Reference set"),
    "900000000000526001": ("900000000000455006", "Replaced by"),
    "900000000000523009": ("900000000000455006", "Possibly equivalent to"),
    "734139008": ("900000000000455006", "Structure and part"),
    "723264001": ("900000000000455006", "Lateralizable"),
    "447562003": ("900000000000455006", "ICD-10 map"),
    US: ("900000000000455006", "US English"),
    GB: ("900000000000455006", "GB English"),
    DE: ("900000000000455006", "German"),
    CORE: ("900000000000441003", "Core module"),
    FSN: ("900000000000441003", "Fully specified name"),
    SYNONYM: ("900000000000441003", "Synonym"),
}
CONCEPTS |= {
    code: ("900000000000441003", f"Metadata {code}")
    for code in (
        DEFINITION,
        PREFERRED,
        ACCEPTABLE,
        "900000000000448009",
        "900000000000073002",
        "900000000000074008",
        "900000000000011006",
        "900000000000451002",
        "447637006",
        "447561005",
        "447556008",
    )
}
ATTRIBUTES = (
    ("85151006", "272741003", "7771000", 0),
    ("128241005", "363698007", "10200004", 1),
    ("128241005", "116676008", "23583003", 1),
    ("40468003", "363698007", "10200004", 1),
    ("40468003", "116676008", "23583003", 1),
)
# concept, language, type, term, active, {refset: acceptability}
FURTHER: tuple[tuple[str, str, str, str, bool, dict[str, str]], ...] = (
    ("10200004", "en", SYNONYM, "Hepar", True, {US: ACCEPTABLE, GB: ACCEPTABLE}),
    ("10200004", "en", SYNONYM, "Liver, NOS", False, {}),
    ("10200004", "de", SYNONYM, "Leber", True, {DE: PREFERRED}),
    ("10200004", "en", DEFINITION, "The organ that makes bile.", True, {US: PREFERRED}),
    ("32849002", "en", SYNONYM, "Oesophagus", True, {GB: PREFERRED}),
)
ASSOCIATIONS = (
    ("900000000000526001", "51185008", "816094009"),
    ("900000000000523009", "155729003", "128241005"),
    ("900000000000523009", "155729003", "40468003"),
    ("734139008", "10200004", "119216005"),
)
# concept, group, rule, advice, target, correlation
ICD_10 = (
    ("40468003", 1, "TRUE", "ALWAYS B15.9", "B15.9", "447561005"),
    ("128241005", 1, "IFA 64572001 | Disease |", "IF DISEASE CHOOSE K75.9", "K75.9", "447561005"),
    ("64572001", 1, "TRUE", "CANNOT BE CLASSIFIED", "", "447556008"),
)
_DATE = "20200131"


@lru_cache(maxsize=1)
def small_provider() -> SnomedProvider:
    """Return the release as a provider, made once."""
    with TemporaryDirectory() as folder:
        return SnomedProvider(small_index(Path(folder)))


def small_index(folder: Path) -> ReleaseIndex:
    """Write the release below `folder` as RF2 and return its index."""
    _write(folder)
    facts, arrays = compile_rows(read_release([folder], version_uri=VERSION))
    held = dict(arrays)
    return ReleaseIndex(facts, held)


def _write(folder: Path) -> None:
    terms, marks = _terms()
    relations = [(code, parent, 0, IS_A) for code, (parent, _) in CONCEPTS.items() if parent] + [
        (code, value, group, kind) for code, kind, value, group in ATTRIBUTES
    ]
    _file(
        folder / "Terminology" / "sct2_Concept_Snapshot_INT_20250909.txt",
        "id effectiveTime active moduleId definitionStatusId",
        (
            (
                code,
                _DATE,
                0 if term.startswith("!") else 1,
                CORE,
                "900000000000073002" if term.startswith("=") else "900000000000074008",
            )
            for code, (_, term) in CONCEPTS.items()
        ),
    )
    columns = (
        "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId"
    )
    for name, chosen in (
        ("sct2_Description_Snapshot-en_INT_20250909.txt", [r for r in terms if r[6] != DEFINITION]),
        (
            "sct2_TextDefinition_Snapshot-en_INT_20250909.txt",
            [r for r in terms if r[6] == DEFINITION],
        ),
    ):
        _file(folder / "Terminology" / name, columns, chosen)
    _file(
        folder / "Terminology" / "sct2_Relationship_Snapshot_INT_20250909.txt",
        "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId"
        " characteristicTypeId modifierId",
        (
            (
                _sctid(number, "02"),
                _DATE,
                1,
                CORE,
                source,
                target,
                group,
                kind,
                "900000000000011006",
                "900000000000451002",
            )
            for number, (source, target, group, kind) in enumerate(relations, start=1)
        ),
    )
    members = "id effectiveTime active moduleId refsetId referencedComponentId"
    _file(
        folder / "Refset" / "der2_cRefset_LanguageSnapshot-en_INT_20250909.txt",
        f"{members} acceptabilityId",
        (_member(*mark) for mark in marks),
    )
    _file(
        folder / "Refset" / "der2_cRefset_AssociationSnapshot_INT_20250909.txt",
        f"{members} targetComponentId",
        (_member(*row) for row in ASSOCIATIONS),
    )
    _file(
        folder / "Refset" / "der2_Refset_SimpleSnapshot_INT_20250909.txt",
        members,
        [_member("723264001", "85562004")],
    )
    _file(
        folder / "Refset" / "der2_iisssccRefset_ExtendedMapSnapshot_INT_20250909.txt",
        f"{members} mapGroup mapPriority mapRule mapAdvice mapTarget correlationId mapCategoryId",
        (
            _member("447562003", code, group, 1, rule, advice, target, why, "447637006")
            for code, group, rule, advice, target, why in ICD_10
        ),
    )


def _terms() -> tuple[list[tuple[object, ...]], list[tuple[str, ...]]]:
    rows: list[tuple[object, ...]] = []
    marks: list[tuple[str, ...]] = []
    told = []
    for code, (_, term) in CONCEPTS.items():
        plain = term.lstrip("!=")
        synonym = {US: PREFERRED} if code == "32849002" else {US: PREFERRED, GB: PREFERRED}
        told.append((code, "en", SYNONYM, plain, True, synonym))
        told.append((code, "en", FSN, f"{plain} (test)", True, {US: PREFERRED, GB: PREFERRED}))
    for number, (code, language, kind, term, active, accepted) in enumerate(
        (*told, *FURTHER), start=1
    ):
        description = _sctid(number, "01")
        rows.append(
            (
                description,
                _DATE,
                1 if active else 0,
                CORE,
                code,
                language,
                kind,
                term,
                "900000000000448009",
            )
        )
        marks += [(refset, description, how) for refset, how in accepted.items()]
    return rows, marks


def _member(refset: str, component: str, *further: object) -> tuple[object, ...]:
    name = "|".join(map(str, (refset, component, *further)))
    return (str(uuid5(NAMESPACE_OID, name)), _DATE, 1, CORE, refset, component, *further)


def _sctid(number: int, partition: str) -> str:
    """Return an identifier with the check digit that makes it one."""
    body = f"{number + 1000}{partition}"
    return next(body + str(digit) for digit in range(10) if verhoeff_ok(body + str(digit)))


def _file(path: Path, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(columns.split(" "))]
    lines += ["\t".join(map(str, row)) for row in rows]
    path.write_text("".join(f"{line}\r\n" for line in lines), encoding="utf-8", newline="")
