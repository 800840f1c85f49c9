"""Write a synthetic SNOMED CT release (RF2, Snapshot) of full International size, all invented.

Usage: python benchmarks/releases/generate.py OUT [--scale 1.0] [--seed 1] [--zip]

Makes about 370,000 active and 100,000 inactive concepts, 1.6 million descriptions, 3.2 million
language members, 1.3 million is-a and 2 million attribute rows; `--scale` makes all of them fewer.
The same seed gives the same files. Codes of metadata and of the tops of the hierarchies are real,
all others are valid identifiers that mean nothing.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import model
import numpy as np
from attributes import make_attributes, make_concretes
from body import BodySites, body_sites
from descriptions import Descriptions, describe
from files import Column, ReleaseFiles, Uuids
from hierarchy import Hierarchy, make_hierarchy
from model import BRANCHES, FIXED
from numpy.typing import NDArray
from sctids import sctids
from terms import Vocabulary, concept_words

DATE = 20260101
_FOLDER = f"SnomedCT_SyntheticRF2_BENCHMARK_{DATE}T120000Z"
_CONCEPTS = 370_000
_INACTIVE = 100_000
_DESCRIPTIONS = 1_600_000
_IS_A = 1_300_000
_ATTRIBUTES = 2_000_000
_INACTIVE_RELATIONSHIPS = 150_000
_DEFINITIONS = 10_000
_MAPPED = 120_000
_DATES = np.array([10000 * year + day for year in range(2002, 2026) for day in (131, 731)] + [DATE])
_ASSOCIATIONS = (
    (model.REPLACED_BY, 0.35),
    (model.SAME_AS, 0.4),
    (model.POSSIBLY_EQUIVALENT_TO, 0.2),
    (model.WAS_A, 0.05),
)
_REASONS = (900000000000482003, 900000000000483008, 900000000000484002)

Ids = NDArray[np.int64]


class Release:
    """One synthetic release: concepts are positions, the inactive ones last; `ids` their codes."""

    def __init__(self, scale: float, seed: int) -> None:
        self.chance = np.random.default_rng(seed)
        self.scale = scale
        self.hierarchy: Hierarchy = make_hierarchy(
            self.chance, self.sized(_CONCEPTS), self.sized(_IS_A)
        )
        self.active_count = len(self.hierarchy)
        self.count = self.active_count + self.sized(_INACTIVE)
        self.ids = self._concept_ids()
        self.sites: BodySites = body_sites(self.chance, self.hierarchy)

    def sized(self, number: int) -> int:
        """Return `number` at the scale of this release, one at least."""
        return max(1, round(number * self.scale))

    def times(self, count: int) -> Ids:
        """Return `count` effective times."""
        return _DATES[self.chance.integers(0, len(_DATES), count)]

    def _concept_ids(self) -> Ids:
        fixed = np.array([one.code for one in FIXED])
        spare = sctids(self.chance, self.count, 0, 1_300_000)
        spare = spare[~np.isin(spare, fixed)]
        return np.concatenate([fixed, spare[: self.count - len(fixed)]])


def main() -> None:
    """Write the release and say what it holds."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--zip", action="store_true")
    chosen = options.parse_args()
    started = time.perf_counter()
    release = Release(chosen.scale, chosen.seed)
    files = ReleaseFiles(chosen.out, _FOLDER, DATE, packed=chosen.zip)
    _write_concepts(files, release)
    _write_descriptions(files, release)
    _write_relationships(files, release)
    _write_refsets(files, release)
    _write_mrcm(files, release)
    files.close()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(files.path)
    print(
        f"{release.active_count} active concepts, {seconds:.0f} s, {peak:.0f} MiB", file=sys.stderr
    )


def _write_concepts(files: ReleaseFiles, release: Release) -> None:
    active = (np.arange(release.count) < release.active_count).astype(int)
    defined = release.chance.random(release.count) < 0.35
    files.write(
        "Terminology/sct2_Concept_Snapshot",
        {
            "id": release.ids,
            "effectiveTime": release.times(release.count),
            "active": active,
            "moduleId": _modules(release),
            "definitionStatusId": np.where(defined, model.DEFINED, model.PRIMITIVE),
        },
    )
    files.write(
        "Terminology/sct2_Identifier_Snapshot",
        {
            "alternateIdentifier": Uuids(release.chance, release.sized(1000)),
            "effectiveTime": DATE,
            "active": 1,
            "moduleId": model.MODEL_MODULE,
            "identifierSchemeId": 900000000000002006,
            "referencedComponentId": release.ids[: release.sized(1000)],
        },
    )


def _modules(release: Release) -> Ids:
    """Return the module of each concept: metadata is in the model component module."""
    modules = np.full(release.count, model.CORE_MODULE)
    for place, fixed in enumerate(FIXED):
        if "metadata" in fixed.tag or fixed.tag == "attribute":
            modules[place] = model.MODEL_MODULE
    return modules


def _write_descriptions(files: ReleaseFiles, release: Release) -> None:
    chance = release.chance
    vocabulary = Vocabulary(chance)
    parents = release.hierarchy.first_parent.tolist()
    parents += [-1] * (release.count - len(parents))
    anywhere = chance.integers(len(FIXED), release.active_count, release.count).tolist()
    parents = [one if one >= 0 else other for one, other in zip(parents, anywhere, strict=True)]
    fixed = [one.name for one in FIXED]
    words = concept_words(chance, vocabulary, parents, fixed)
    names = dict(enumerate(fixed)) | release.sites.names(words, vocabulary)
    tags = [one.tag for one in FIXED]
    branch_tags = [branch.tag for branch in BRANCHES]
    tags += [branch_tags[number] for number in release.hierarchy.branch[len(FIXED) :].tolist()]
    tags += [branch_tags[at % 3] for at in range(release.count - release.active_count)]
    made = describe(chance, vocabulary, words, names, tags, release.sized(_DESCRIPTIONS))
    chosen = chance.choice(release.active_count, release.sized(_DEFINITIONS), replace=False)
    ids, definition_ids = np.split(
        sctids(chance, len(made.term) + len(chosen), 1, 400_000_000), [len(made.term)]
    )
    concepts = np.array(made.concept)
    # As published: by identifier, so that a concept's descriptions lie far apart.
    order = np.argsort(ids)
    files.write(
        "Terminology/sct2_Description_Snapshot-en",
        {
            "id": ids[order],
            "effectiveTime": release.times(len(ids)),
            "active": np.array(made.active)[order],
            "moduleId": _modules(release)[concepts][order],
            "conceptId": release.ids[concepts][order],
            "languageCode": "en",
            "typeId": np.where(made.is_fsn, model.FSN, model.SYNONYM)[order],
            "term": [made.term[at] for at in order.tolist()],
            "caseSignificanceId": np.where(
                chance.random(len(ids)) < 0.9, model.INSENSITIVE, model.INITIAL_INSENSITIVE
            ),
        },
    )
    drawn = [vocabulary.draw(chance, 14) for _ in range(len(chosen))]
    files.write(
        "Terminology/sct2_TextDefinition_Snapshot-en",
        {
            "id": definition_ids,
            "effectiveTime": release.times(len(chosen)),
            "active": 1,
            "moduleId": model.CORE_MODULE,
            "conceptId": release.ids[chosen],
            "languageCode": "en",
            "typeId": model.DEFINITION,
            "term": [" ".join(vocabulary.words[rank] for rank in ranks) + "." for ranks in drawn],
            "caseSignificanceId": model.INSENSITIVE,
        },
    )
    _write_language(files, release, made, ids)


def _write_language(files: ReleaseFiles, release: Release, made: Descriptions, ids: Ids) -> None:
    refsets, components, accepted, active = [], [], [], []
    for refset, column in (
        (model.US_ENGLISH, made.american),
        (model.GB_ENGLISH, made.british),
    ):
        wanted = np.array(column)
        rows = np.flatnonzero(wanted)
        refsets.append(np.full(len(rows), refset))
        components.append(ids[rows])
        accepted.append(np.where(wanted[rows] == 2, model.PREFERRED, model.ACCEPTABLE))
        active.append(np.array(made.active)[rows])
    whole = np.concatenate(refsets)
    order = release.chance.permutation(len(whole))
    files.write(
        "Refset/Language/der2_cRefset_LanguageSnapshot-en",
        _member_columns(
            release,
            whole[order],
            np.concatenate(components)[order],
            np.concatenate(active)[order],
            {"acceptabilityId": np.concatenate(accepted)[order]},
        ),
    )


def _member_columns(
    release: Release,
    refset: Column,
    component: Ids,
    active: Column,
    further: dict[str, Column],
) -> dict[str, Column]:
    return {
        "id": Uuids(release.chance, len(component)),
        "effectiveTime": release.times(len(component)),
        "active": active,
        "moduleId": model.CORE_MODULE,
        "refsetId": refset,
        "referencedComponentId": component,
        **further,
    }


def _write_relationships(files: ReleaseFiles, release: Release) -> None:
    chance, hierarchy, sites = release.chance, release.hierarchy, release.sites
    attributes = make_attributes(chance, hierarchy, release.sized(_ATTRIBUTES))
    places = {fixed.code: place for place, fixed in enumerate(FIXED)}
    lost = release.sized(_INACTIVE_RELATIONSHIPS)
    sided = len(sites.sided)
    rows = len(hierarchy.child)
    source = np.concatenate(
        [
            hierarchy.child,
            attributes.source,
            sites.sided,
            chance.integers(len(FIXED), release.count, lost),
        ]
    )
    value = np.concatenate(
        [
            hierarchy.parent,
            attributes.value,
            np.where(sites.left, places[model.LEFT], places[model.RIGHT]),
            chance.integers(len(FIXED), release.count, lost),
        ]
    )
    kind = np.concatenate(
        [
            np.full(rows, places[model.IS_A]),
            attributes.type,
            np.full(sided, places[model.LATERALITY]),
            np.full(lost, places[model.IS_A]),
        ]
    )
    group = np.concatenate(
        [np.zeros(rows, np.int64), attributes.group, np.zeros(sided + lost, np.int64)]
    )
    active = np.repeat([1, 0], [len(source) - lost, lost])
    concrete = make_concretes(chance, hierarchy)
    ids, concrete_ids = np.split(
        sctids(chance, len(source) + len(concrete.source), 2, 900_000_000), [len(source)]
    )
    order = np.argsort(ids)
    files.write(
        "Terminology/sct2_Relationship_Snapshot",
        {
            "id": ids[order],
            "effectiveTime": release.times(len(ids)),
            "active": active[order],
            "moduleId": model.CORE_MODULE,
            "sourceId": release.ids[source[order]],
            "destinationId": release.ids[value[order]],
            "relationshipGroup": group[order],
            "typeId": release.ids[kind[order]],
            "characteristicTypeId": model.INFERRED,
            "modifierId": model.SOME,
        },
    )
    files.write(
        "Terminology/sct2_RelationshipConcreteValues_Snapshot",
        {
            "id": concrete_ids,
            "effectiveTime": release.times(len(concrete_ids)),
            "active": 1,
            "moduleId": model.CORE_MODULE,
            "sourceId": release.ids[concrete.source],
            "value": concrete.value,
            "relationshipGroup": concrete.group,
            "typeId": release.ids[concrete.type],
            "characteristicTypeId": model.INFERRED,
            "modifierId": model.SOME,
        },
    )
    _write_axioms(files, release)


def _write_axioms(files: ReleaseFiles, release: Release) -> None:
    """Write the is-a rows once more, as OWL axioms."""
    hierarchy = release.hierarchy
    order = np.argsort(hierarchy.child, kind="stable")
    children, first = np.unique(hierarchy.child[order], return_index=True)
    parents = release.ids[hierarchy.parent[order]].tolist()
    ends = [*first[1:].tolist(), len(order)]
    axioms = []
    for code, start, end in zip(release.ids[children].tolist(), first.tolist(), ends, strict=True):
        said = " ".join(f":{parent}" for parent in parents[start:end])
        whole = f"ObjectIntersectionOf({said})" if end - start > 1 else said
        axioms.append(f"SubClassOf(:{code} {whole})")
    files.write(
        "Terminology/sct2_sRefset_OWLExpressionSnapshot",
        _member_columns(
            release, model.OWL_AXIOM, release.ids[children], 1, {"owlExpression": axioms}
        ),
    )


def _write_refsets(files: ReleaseFiles, release: Release) -> None:
    chance, sites, ids = release.chance, release.sites, release.ids
    files.write(
        "Refset/Content/der2_Refset_SimpleSnapshot",
        _member_columns(release, model.LATERALIZABLE, ids[sites.lateralizable], 1, {}),
    )
    retired = np.arange(release.active_count, release.count)
    kinds = chance.choice(
        [code for code, _ in _ASSOCIATIONS], len(retired), p=[share for _, share in _ASSOCIATIONS]
    )
    targets = chance.integers(len(FIXED), release.active_count, len(retired))
    refset = np.concatenate(
        [
            kinds,
            np.full(len(sites.entire), model.STRUCTURE_ENTIRE),
            np.full(len(sites.part), model.STRUCTURE_PART),
        ]
    )
    component = np.concatenate([retired, sites.structure, sites.structure])
    target = np.concatenate([targets, sites.entire, sites.part])
    files.write(
        "Refset/Content/der2_cRefset_AssociationSnapshot",
        _member_columns(release, refset, ids[component], 1, {"targetComponentId": ids[target]}),
    )
    files.write(
        "Refset/Content/der2_cRefset_AttributeValueSnapshot",
        _member_columns(
            release,
            model.INACTIVATION,
            ids[retired],
            1,
            {"valueId": np.array(_REASONS)[chance.integers(0, len(_REASONS), len(retired))]},
        ),
    )
    mapped = ids[chance.integers(len(FIXED), release.active_count, release.sized(_MAPPED))]
    numbers = chance.integers(0, 1000, len(mapped)).tolist()
    targets_text = [f"{'ABCDEFGHJKLMNRST'[n % 16]}{n % 100:02d}.{n % 10}" for n in numbers]
    files.write(
        "Refset/Map/der2_iisssccRefset_ExtendedMapSnapshot",
        _member_columns(
            release,
            model.ICD10_MAP,
            mapped,
            1,
            {
                "mapGroup": 1,
                "mapPriority": 1,
                "mapRule": "TRUE",
                "mapAdvice": [f"ALWAYS {text}" for text in targets_text],
                "mapTarget": targets_text,
                "correlationId": 447561005,
                "mapCategoryId": 447637006,
            },
        ),
    )


def _write_mrcm(files: ReleaseFiles, release: Release) -> None:
    """Write the module dependency, and which attributes the branches use with which values."""
    columns = _member_columns(
        release,
        model.MODULE_DEPENDENCY,
        np.array([model.MODEL_MODULE]),
        1,
        {"sourceEffectiveTime": DATE, "targetEffectiveTime": DATE},
    )
    files.write(
        "Refset/Metadata/der2_ssRefset_ModuleDependencySnapshot",
        {**columns, "effectiveTime": DATE},
    )
    domains = {(kind, branch.top): None for branch in BRANCHES for kind, _ in branch.uses}
    domains[model.LATERALITY, model.ANATOMY] = None
    ranges: dict[int, dict[int, None]] = {model.LATERALITY: {182353008: None}}
    for branch in BRANCHES:
        for kind, top in branch.uses:
            ranges.setdefault(kind, {})[top] = None
    names = {fixed.code: fixed.name for fixed in FIXED}
    said = {
        kind: " OR ".join(f"<< {top} |{names[top]}|" for top in tops)
        for kind, tops in ranges.items()
    }
    flat = [int(kind == model.LATERALITY) for kind, _ in domains]
    files.write(
        "Refset/Metadata/der2_cissccRefset_MRCMAttributeDomainSnapshot",
        _member_columns(
            release,
            723561005,
            np.array([kind for kind, _ in domains]),
            1,
            {
                "domainId": [top for _, top in domains],
                "grouped": [1 - one for one in flat],
                "attributeCardinality": ["0..1" if one else "0..*" for one in flat],
                "attributeInGroupCardinality": ["0..0" if one else "0..1" for one in flat],
                "ruleStrengthId": 723597001,
                "contentTypeId": 723596005,
            },
        ),
    )
    files.write(
        "Refset/Metadata/der2_ssccRefset_MRCMAttributeRangeSnapshot",
        _member_columns(
            release,
            723562003,
            np.array(list(said)),
            1,
            {
                "rangeConstraint": list(said.values()),
                "attributeRule": [
                    f"^ {model.LATERALIZABLE}: [0..1] {kind} = ({text})"
                    if kind == model.LATERALITY
                    else f"*: [0..*] {{ [0..1] {kind} = ({text}) }}"
                    for kind, text in said.items()
                ],
                "ruleStrengthId": 723597001,
                "contentTypeId": 723596005,
            },
        ),
    )


if __name__ == "__main__":
    main()
