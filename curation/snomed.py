"""Other codes of SNOMED: Entire concepts with their structures, and the codes of SNOMED RT."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

# PS3.16 as tables; pydicom has no public name for them.
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from curation.reference import (
    CANDIDATES_FILE,
    CONTEXT_GROUPS_FILE,
    TERMS_FILE,
    reference_rows,
)
from curation.subset import Subset
from curation.uberon import Uberon
from terminology.identifiers import sctid_problem

ENTIRE_COLUMNS: Final = ("entire", "entire_display", "structure", "structure_display", "basis")
RT_COLUMNS: Final = ("srt", "code", "display", "source")

_ENTIRE: Final = "Entire "
_RT_CODE: Final = re.compile(r"[A-Z][0-9]?-[0-9A-Z]{4,6}")
# SNOMED RT: the axis of topography.
_TOPOGRAPHY: Final = "T-"


def entire_rows(reference: Path, uberon: Uberon, subset: Subset) -> list[tuple[str, ...]]:
    """Return the Entire concepts whose structure is known, as cells of `ENTIRE_COLUMNS`.

    The structure is the one with the name without "Entire", or what the Uberon class is that has
    the Entire concept. Where these differ, there is no row.
    """
    columns = ("sct", "sct_meaning", "relation")
    names: dict[str, str] = {}
    for row in reference_rows(reference / CANDIDATES_FILE, columns):
        if row["relation"] == "entire-concept":
            names.setdefault(row["sct"], row["sct_meaning"])
    by_class: dict[str, dict[str, str]] = defaultdict(dict)
    for identifier, claim in uberon.exact.items():
        if uberon.is_nearly(identifier):
            continue
        for code in uberon.classes[identifier].sct:
            if code not in subset and not sctid_problem(code):
                by_class[code][identifier] = claim.code
    rows: list[tuple[str, ...]] = []
    for code in {*names, *by_class}:
        classes = by_class[code]
        named = None
        if code in names and code not in subset:
            named = subset.named(names[code].removeprefix(_ENTIRE))
        structures = {*classes.values(), *filter(None, (named,))}
        if len(structures) != 1:
            continue
        structure = structures.pop()
        ordered = sorted(classes)
        display = names.get(code) or uberon.classes[ordered[0]].label
        basis = "; ".join([*(["names agree"] if named else []), *ordered])
        rows.append((code, display, structure, subset.display(structure), basis))
    return rows


def rt_rows(reference: Path, subset: Subset) -> list[tuple[str, ...]]:
    """Return the codes of SNOMED RT with their concepts, as cells of `RT_COLUMNS`.

    The first source that has a code decides it: the context groups of PS3.16, then the defined
    terms of its Annex L, then the mapping that pydicom carries, which PS3.16 publishes too. What
    the subset has is shown as there.
    """
    found: dict[str, tuple[str, ...]] = {}
    for srt, code, display, source in _rt_sources(reference, subset):
        if _RT_CODE.fullmatch(srt) and not sctid_problem(code):
            shown = subset.display(code) if code in subset else display
            found.setdefault(srt, (srt, code, shown, source))
    return list(found.values())


def _rt_sources(reference: Path, subset: Subset) -> Iterator[tuple[str, str, str, str]]:
    columns = ("srt", "sct", "meaning")
    for row in reference_rows(reference / CONTEXT_GROUPS_FILE, columns):
        yield row["srt"], row["sct"], row["meaning"], "DICOM PS3.16 context groups"
    for row in reference_rows(reference / TERMS_FILE, columns):
        yield row["srt"], row["sct"], row["meaning"], "DICOM PS3.16 Annex L"
    groups = cast(Mapping[str, Mapping[str, Sequence[str]]], concepts["SCT"]).values()
    meanings = {code: each[0] for group in groups for code, each in group.items()}
    for srt, code in mapping["SRT"].items():
        if code in subset or (srt.startswith(_TOPOGRAPHY) and code in meanings):
            source = "DICOM PS3.16, SRT to SCT mapping (pydicom)"
            yield srt, code, meanings.get(code, ""), source
