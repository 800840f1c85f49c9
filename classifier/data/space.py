"""Label spaces: which heads and which classes the labels of some collections call for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Members
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from classifier.data.labels import Head, LabelSpace
from classifier.data.sample import Collection, Sample
from classifier.errors import DataSetError
from classifier.fusion import ADULT_FROM_YEARS, router_group
from terminology.annotation import RouterGroup, Site
from terminology.concept import BODY_STRUCTURE, Laterality
from terminology.graph import BodyStructureGraph
from terminology.tables import mappings_folder, read_rows
from terminology.vocabulary import LabelVocabulary, canonical
from terminology.words import VIEW_COLUMNS, VIEWS_TABLE

# DICOM PS3.3 C.7.3.1.1.1: CR, DX and RG are one kind of picture, a projection radiograph, and
# what of them a plain picture came from nobody knows. DX stands for them.
_MODALITY_CLASSES: Final = {"CR": "DX", "RG": "DX"}
# "Other", secondary capture and the like: not how the picture was made.
_NO_MODALITY: Final = frozenset({"OT", "SC", "SR", "PR", "KO", "DOC"})
# Regions that decide on a router group; see `classifier.fusion.router_group`: |Chest|, |Abdomen|,
# |Abdomen and Pelvis|, the cervical, thoracic, lumbar and sacral spine.
_ROUTER_REGIONS: Final = (
    "816094009",
    "818981001",
    "818982008",
    "122494005",
    "122495006",
    "122496007",
    "54735007",
)


def build_space(
    collections: Sequence[Collection],
    graph: BodyStructureGraph,
    heads: Members[Head],
    *,
    min_images: int = 1,
    examined_classes: Iterable[str] | None = None,
    view_classes: Iterable[str] | None = None,
) -> LabelSpace:
    """Return the label space of the samples of `collections`.

    The vocabulary holds every part that is named in any way, and the regions above; parts that
    fewer than `min_images` samples name, or something below, count for the regions above only.

    A class of the examined head is a part that at least `min_images` samples name as examined,
    and not only as the region that holds it. A view is a class when as many samples name it; of a
    view and those that say more of the same (frontal beside AP and PA) either it is a class or
    they are, whichever more samples name, so that no two classes are true of one image. A label
    that is no class climbs: `encode` gives it to the nearest class above; where there is none, it
    is unknown. Modalities are those of `modality_class`; the router always has its five groups.

    Parameters
    ----------
    heads
        The heads in use.
    min_images
        The least number of samples of a part of the vocabulary, of a class of the examined head
        and of the view head.
    examined_classes, view_classes
        SCTIDs that are to be the classes, whatever the samples name.

    Raises
    ------
    DataSetError
        A head is asked for of which the samples say nothing.
    UnknownConceptError
        A sample names what the graph does not hold.
    """
    samples = [sample for collection in collections for sample in collection.samples]
    wanted = tuple(examined_classes or ())
    vocabulary = LabelVocabulary.of(graph, {*_named(samples, graph, min_images), *wanted})
    classes: dict[Head, tuple[str, ...]] = {}
    for head in (head for head in Head if head in heads and head is not Head.VISIBLE):
        match head:
            case Head.EXAMINED:
                chosen = {canonical(graph, code)[0] for code in wanted} or _examined(
                    samples, collections, graph, min_images
                )
                names = tuple(code for code in vocabulary.codes if code in chosen)
            case Head.VIEW:
                names = tuple(sorted(view_classes or _views(samples, min_images)))
            case Head.MODALITY:
                found = {modality_class(sample.modality) for sample in samples}
                names = tuple(sorted(one for one in found if one is not None))
            case Head.LATERALITY:
                sides = {sample.laterality for sample in samples}
                names = tuple(str(side) for side in Laterality if side in sides)
            case Head.ROUTER:
                told = any(sample.examined or sample.router_group for sample in samples)
                names = tuple(str(group) for group in RouterGroup) if told else ()
            case Head.IRMA:
                names = tuple(sorted({sample.irma for sample in samples if sample.irma}))
        if not names:
            raise _nothing_known(head, collections)
        classes[head] = names
    if Head.VISIBLE in heads and not len(vocabulary):
        raise _nothing_known(Head.VISIBLE, collections)
    return LabelSpace(vocabulary, classes, visible=Head.VISIBLE in heads)


def modality_class(modality: str | None) -> str | None:
    """Return the class of a DICOM modality: itself, or DX for every projection radiograph.

    `None` where the value does not tell how the picture was made.
    """
    if not modality or modality in _NO_MODALITY:
        return None
    return _MODALITY_CLASSES.get(modality, modality)


def nearest_examined(
    graph: BodyStructureGraph, code: str, classes: Members[str], *, coarse: bool = False
) -> frozenset[str]:
    """Return the examined `classes` that a label leaves possible.

    The class itself; of a `coarse` label, the classes at or below it. Where there is none, the
    nearest classes above; empty where there are none either. One class alone below a coarse label
    is not possible for that: "upper limb" is no hand because no other part of it is a class.
    """
    code = canonical(graph, code)[0]
    if coarse:
        below = frozenset(one for one in classes if one == code or graph.subsumes(code, one))
        if below:
            return below if len(below) > 1 or code in below else frozenset()
    return frozenset(graph.map_into(code, classes))


def nearest_views(view: str, classes: Members[str]) -> frozenset[str]:
    """Return the view `classes` that a label leaves possible: a broad view, all that it covers.

    The classes at or below `view` in `mappings/views.tsv`, so that |frontal| is AP, PA or
    frontal; where there is none, the nearest above it; empty where there is none either.
    """
    below = frozenset(one for one in classes if view in _with_broader(one))
    if below:
        return below
    return frozenset(next(([one] for one in _with_broader(view) if one in classes), []))


def router_groups(
    graph: BodyStructureGraph, code: str, age_years: float | None, *, coarse: bool = False
) -> frozenset[RouterGroup]:
    """Return the router groups that a label leaves possible.

    A chest without an age is an adult's or a child's. A `coarse` label leaves the groups of the
    regions below it possible as well.
    """
    codes = [code]
    if coarse:
        codes += [one for one in _ROUTER_REGIONS if one in graph and graph.subsumes(code, one)]
    ages = [0.0, ADULT_FROM_YEARS] if age_years is None else [age_years]
    return frozenset(router_group(Site(one, ""), age, graph) for one in codes for age in ages)


def _named(samples: Sequence[Sample], graph: BodyStructureGraph, min_images: int) -> set[str]:
    """Return the parts that samples name; with a part below it, a sample names the part."""
    absent = {code for sample in samples for code in sample.absent}
    named: Counter[tuple[str, ...]] = Counter()
    for sample in samples:
        named[*sample.visible, *([] if sample.examined is None else [sample.examined])] += 1
    count: Counter[str] = Counter()
    for codes, number in named.items():
        held = {canonical(graph, code)[0] for code in codes}
        for code in held.union(*(graph.ancestors(code) for code in held)):
            count[code] += number
    own = {code for codes in named for code in codes} | absent
    return {
        code
        for code in (canonical(graph, one)[0] for one in own if one != BODY_STRUCTURE)
        if count[code] >= min_images or min_images <= 1
    }


def _examined(
    samples: Sequence[Sample],
    collections: Sequence[Collection],
    graph: BodyStructureGraph,
    min_images: int,
) -> set[str]:
    count = Counter(
        canonical(graph, sample.examined)[0]
        for collection in collections
        if not collection.declaration.coarse_only
        for sample in collection.samples
        if sample.examined is not None and not sample.coarse and sample.examined != BODY_STRUCTURE
    )
    return {code for code, number in count.items() if number >= min_images}


def _views(samples: Sequence[Sample], min_images: int) -> list[str]:
    """Return the views that enough samples name, none of which says less of another."""
    count = Counter(sample.view for sample in samples if sample.view is not None)
    # The most specific first: what it gives to the broader view, that may give on.
    for view in sorted(count, key=lambda one: (-len(_with_broader(one)), one)):
        broader = _with_broader(view)[1:]
        if count[view] < min_images and broader:
            count[broader[0]] += count.pop(view)
    for view in sorted(count, key=lambda one: (-len(_with_broader(one)), one)):
        narrower = [one for one in count if view in _with_broader(one)[1:]]
        if not narrower:
            continue
        if count[view] >= sum(count[one] for one in narrower):
            count[view] += sum(count.pop(one) for one in narrower)
        else:
            del count[view]
    return [view for view, number in count.items() if number >= min_images]


def _with_broader(view: str) -> tuple[str, ...]:
    """Return `view` and the views that say less of it, the nearest first."""
    chain = [view]
    while (broader := _views_table()[0].get(chain[-1])) and broader not in chain:
        chain.append(broader)
    return tuple(chain)


@lru_cache(maxsize=1)
def _views_table() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the broader view of each view that has one, and the display of each."""
    rows = read_rows(mappings_folder() / VIEWS_TABLE, VIEW_COLUMNS)
    broader = {row["code"]: row["broader"] for row in rows if row["broader"]}
    return broader, {row["code"]: row["display"] for row in rows}


def view_display(view: str) -> str:
    """Return the name of a view by its SNOMED CT code; the code itself where there is none."""
    return _views_table()[1].get(view, view)


def _nothing_known(head: Head, collections: Sequence[Collection]) -> DataSetError:
    names = ", ".join(f"'{one.name}'" for one in collections)
    return DataSetError(
        f"head '{head}'",
        f"no sample of {names} says anything of it",
        "at least one label for every head in use",
        "Leave the head out, or add a data set that has such labels.",
    )
