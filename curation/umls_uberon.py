"""The classes of Uberon that CUIs have: which structure of the subset a class is, or lies in.

Uberon is about all animals: its labels for what humans have under another name, what does not hold
in SNOMED CT, and what is of animals or embryos stand here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from curation.reference import UBERON_FILE, reference_rows
from terminology.graph import BodyStructureGraph
from terminology.sources.umls_names import Names, normalised

# Labels by which Uberon, which is about all animals, calls what the subset has under another name.
_SAME: Final = {
    "camera-type eye": "Eye",
    "cardiac atrium": "Atrium",
    "cardiac ventricle": "Ventricle",
    "cranium": "Skull",
    "digestive tract": "Gastrointestinal tract",
    "female reproductive system": "Female genital system",
    "foot digit": "Toe",
    "forelimb": "Upper limb",
    "forelimb stylopod": "Upper arm",
    "forelimb zeugopod": "Forearm",
    "fornix of brain": "Fornix",
    "gall bladder": "Gallbladder",
    "hand digit": "Finger",
    "heart left ventricle": "Left ventricle",
    "heart right ventricle": "Right ventricle",
    "hindlimb": "Lower limb",
    "hindlimb stylopod": "Thigh",
    "hindlimb zeugopod": "Lower leg",
    "internal ear": "Inner ear",
    "left cardiac atrium": "Left atrium",
    "lens of camera-type eye": "Lens",
    "male reproductive system": "Male genital system",
    "manus": "Hand",
    "pes": "Foot",
    "pituitary gland": "Pituitary",
    "prostate gland": "Prostate",
    "renal system": "Urinary system",
    "right cardiac atrium": "Right atrium",
    "sinus of valsalva": "Aortic sinus of Valsalva",
    "skin of body": "Skin",
    "thoracic segment of trunk": "Chest",
    "thyroid gland": "Thyroid",
    "urinary bladder": "Bladder",
    "uterine cervix": "Cervix",
    "vertebral column": "Spine",
}
# Labels of what lies in a structure of the subset: steps of a chain, no names of it.
_WITHIN: Final = {
    "bone element": "Bone",
    "carpal bone": "Carpus",
    "carpal skeleton": "Carpus",
    "cerebellum interpositus nucleus": "Cerebellum",
    "cervical subsegment of spinal cord": "Spinal cord",
    "cervical vertebra": "Cervical spine",
    "chordate pharynx": "Pharynx",
    "distal carpal bone": "Carpus",
    "distal tarsal bone": "Tarsus",
    "dorsal thalamus": "Thalamus",
    "eye": "Eye region",
    "facial bone": "Facial bones",
    "facial skeleton": "Head",
    "gray matter of diencephalon": "Diencephalon",
    "gustatory papilla of tongue": "Tongue",
    "hindlimb muscle": "Muscle of lower limb",
    "laryngeal cartilage": "Larynx",
    "laryngeal joint": "Larynx",
    "lumbar subsegment of spinal cord": "Spinal cord",
    "lumbar vertebra": "Lumbar spine",
    "mammalian vulva": "Female genital system",
    "manual digit bone": "Finger",
    "metatarsal bone": "Metatarsus",
    "muscle organ": "Muscle",
    "musculature of body": "Muscle",
    "neurocranium": "Skull",
    "nucleus of dorsal thalamus": "Thalamus",
    "oblique extraocular muscle": "Eye region",
    "ocular region": "Eye region",
    "oral gland": "Mouth",
    "osseus cochlea": "Cochlea",
    "otolith organ": "Inner ear",
    "parenchyma of spleen": "Spleen",
    "pedal digit bone": "Toe",
    "pelvic girdle skeleton": "Bone of pelvis",
    "pinna": "External ear",
    "primary dentition": "Set of teeth",
    "pulmonary lobule": "Lung",
    "rectus extraocular muscle": "Eye region",
    "region of nephron tubule": "Kidney",
    "sacral subsegment of spinal cord": "Spinal cord",
    "secondary dentition": "Set of teeth",
    "set of lower jaw teeth": "Tooth",
    "set of upper jaw teeth": "Tooth",
    "skeletal joint": "Joint",
    "subarachnoid sulcus": "Brain",
    "subdivision of spinal cord central canal": "Spinal cord",
    "synovial joint": "Joint",
    "terminal branch of ophthalmic artery": "Head",
    "thoracic subsegment of spinal cord": "Spinal cord",
    "thoracic vertebra": "Thoracic spine",
    "tooth-like structure": "Tooth",
    "tract of brain": "Brain",
    "unpaired venous dural sinus": "Intracranial structure",
    "uriniferous tubule": "Kidney",
    "vestibular nucleus": "Brainstem",
    "white matter of medulla oblongata": "Medulla oblongata",
}
# Too wide to be an answer, or a tree or a hollow that does not hold what Uberon hangs on it.
_TOO_WIDE: Final = frozenset(
    {
        "Anatomical or acquired body structure",
        "Anatomical structure",
        "Body conduit",
        "Body region",
        "Body structure",
        "Body system",
        "Brain ventricle",
        "Bronchus",
        "Jaw region",
        "Lateral Ventricle",
        "Limb",
        "Subregion of trunk",
        "Sympathetic trunk",
    }
)
# What covers brain and cord is none of them.
_COVERS: Final = re.compile(r"dura|falx|mater\b|mening|meninx|tentorium")
# Artery, vein, nerve.
_TRUNKS: Final = ("51114001", "29092000", "3057000")
# Parents that lead elsewhere than the parts that Uberon gives them.
_MISPLACED: Final = frozenset(
    {"mesentery of stomach", "operculum of brain", "ureteric segment of renal artery"}
)
# What a thing is rather than where: an answer only where there is no place.
KINDS: Final = frozenset(
    {
        "Artery",
        "Blood vessel",
        "Bone",
        "Capillary",
        "Joint",
        "Joint region",
        "Lymph node",
        "Muscle",
        "Nerve",
        "Peripheral nerve",
        "Skeletal muscle",
        "Skin",
        "Tendon",
        "Vein",
        "Systemic artery",
        "Systemic vein",
        "Cardiovascular system",
        "Central nervous system",
        "Digestive system",
        "Endocrine system",
        "Immune system",
        "Musculoskeletal system",
        "Nervous system",
        "Peripheral nervous system",
        "Respiratory system",
    }
)
_NOT_OF_ADULT_HUMANS: Final = re.compile(
    r"\b(abomasum|allantois|amnio\w*|anlage|antler|beak|blast\w*|\w*cardinal|cloaca\w*|crop|"
    r"duct of cuvier|ectoderm\w*|embryo\w*|endoderm\w*|"
    r"(?:limb|lung|pancreatic epithelial|tail|tooth|ureteric) bud|extraembryonic|feather|fin|"
    r"fo?etal|fo?etus|foregut|genital tubercle|gill|gizzard|harderian|hindgut|hoof|"
    r"mesenchym\w*|mesoderm\w*|mesonephr\w*|metanephr\w*|midgut|müllerian|"
    r"neural (?:crest|fold|plate|tube)|notochord|omasum|paw|"
    r"pharyngeal (?:arch|cleft|groove|pouch)|placenta\w*|placode|primitive|primordi\w*|"
    r"proctodeum|pronephr\w*|proventriculus|reticulum|rhombomere|rumen|ruminant|somite|"
    r"stomodeum|tail|trophoblast\w*|udder|umbilical|uropod|vitelline|wing|wolffian|yolk)\b"
)
_EMBRYONIC: Final = frozenset({"embryo", "embryonic structure", "developing anatomical structure"})
_MAX_STEPS: Final = 8


class Uberon:
    """The classes of Uberon: labels, CUIs, SNOMED CT codes and parents.

    Parameters
    ----------
    rows
        (class, label, relation, object, label of the object) of `uberon_xrefs.csv`.
    """

    def __init__(self, rows: Sequence[tuple[str, str, str, str, str]]) -> None:
        self._labels: dict[str, str] = {}
        self._classes: dict[str, set[str]] = defaultdict(set)
        self._sct: dict[str, set[str]] = defaultdict(set)
        self._parents: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for uberon, label, relation, target, target_label in rows:
            self._labels[uberon] = label
            if relation == "xref_umls":
                self._classes[target.removeprefix("UMLS:")].add(uberon)
            elif relation == "xref_sct":
                self._sct[uberon].add(target.removeprefix("SCTID:"))
            elif relation in ("is_a", "part_of"):
                self._parents[uberon].append((relation, target))
                self._labels.setdefault(target, target_label)

    @classmethod
    def read(cls, reference: Path) -> Uberon:
        """Return the classes of the folder `reference`."""
        columns = ("uberon_id", "label", "relation", "object", "object_label")
        rows = reference_rows(reference / UBERON_FILE, columns)
        return cls(
            [
                (
                    row["uberon_id"],
                    row["label"],
                    row["relation"],
                    row["object"],
                    row["object_label"],
                )
                for row in rows
            ]
        )

    def classes(self, cui: str) -> list[str]:
        """Return the classes with the CUI, sorted."""
        return sorted(self._classes.get(cui, ()))

    def label(self, uberon: str) -> str:
        """Return the label of a class, empty where the file has none."""
        return self._labels.get(uberon, "")

    def sct(self, uberon: str) -> frozenset[str]:
        """Return the SNOMED CT codes of a class, mostly Entire concepts."""
        return frozenset(self._sct.get(uberon, ()))

    def animal_or_embryo(self, uberon: str) -> bool:
        """Return whether the class is of animals, embryos or what holds those."""
        if _NOT_OF_ADULT_HUMANS.search(self.label(uberon).lower()):
            return True
        parents = {self.label(parent) for _, parent in self._parents.get(uberon, ())}
        return not parents.isdisjoint(_EMBRYONIC)

    def structures(
        self, uberon: str, names: Names, graph: BodyStructureGraph
    ) -> list[tuple[str, str]]:
        """Return the most specific structures of the subset that a class is or lies in.

        Each with the chain that leads there, as in ``UBERON:1 part_of UBERON:2``; the chain is
        empty where the class has the structure's own name. Places come before kinds: the artery
        of an arm lies in the arm.
        """
        label = self.label(uberon)
        same = names.lookup(_SAME.get(label.lower(), label))
        if same is not None:
            return [(same, "")]
        within = names.lookup(_WITHIN.get(label, ""))
        if within is not None:
            return [(within, uberon)]
        found: dict[str, str] = {}
        level = {uberon: uberon}
        seen = {uberon}
        for _ in range(_MAX_STEPS):
            following: dict[str, str] = {}
            for here, path in level.items():
                for relation, parent in self._parents.get(here, ()):
                    name = self.label(parent)
                    if parent in seen or name in _MISPLACED or self.animal_or_embryo(parent):
                        continue
                    seen.add(parent)
                    steps = f"{path} {relation} {parent}"
                    code = names.lookup(_WITHIN.get(name, _SAME.get(name.lower(), name)))
                    if code is not None and _contains(code, label, graph):
                        found[code] = steps
                    else:
                        following[parent] = steps
            level = following
        places = {
            code: path for code, path in found.items() if graph.lookup(code).display not in KINDS
        }
        chosen = places or found
        return sorted(
            (code, path)
            for code, path in chosen.items()
            if not any(code != other and graph.subsumes(code, other) for other in chosen)
        )


def _contains(code: str, label: str, graph: BodyStructureGraph) -> bool:
    """Return whether what Uberon puts into the structure `code` lies there in SNOMED CT too.

    A branch of a vessel or nerve is none of its trunk, unless it has the trunk's name.
    """
    display = graph.lookup(code).display
    if display in _TOO_WIDE:
        return False
    if display in ("Brain", "Spinal cord") and _COVERS.search(label):
        return False
    if any(graph.subsumes(trunk, code) for trunk in _TRUNKS) and display not in KINDS:
        return set(normalised(display)) <= set(normalised(label))
    return True
