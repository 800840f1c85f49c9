"""What Bodysite says about a word, a header and an instance: values with their evidence.

`TextReading` is what one string says, `HeaderStatement` what one DICOM attribute says,
`HeaderReading` what a header says as a whole. `BodySiteAnnotation` is the answer for one
instance, after the header and the image (if a model looked at it) were joined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from terminology.concept import Laterality, View


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that an answer rests on.

    `source` is a DICOM keyword, "text" for a bare string, or a model's name and version; `words`
    the words of it that were used; `rows` the table rows, as ``file:line``; `note` a reason in
    words where a rule rather than a row decided.
    """

    source: str
    words: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A body site as an answer: an unsided SNOMED CT concept, its side, and how sure we are.

    `confidence` is in [0, 1]; `None` where the source gives none.
    """

    code: str
    display: str
    laterality: Laterality | None = None
    confidence: float | None = None


class Method(StrEnum):
    """How a site was found in a value, the surest way first."""

    DECISION = "decision"
    CODE = "code"
    EXACT = "exact"
    TOKENS = "token"
    MISSPELLING = "fuzzy"


@dataclass(frozen=True, slots=True)
class TextReading:
    """What one string says. No sites means "not known", which is an answer.

    `view` is the projection that the value names first, `views` are all that it names: of a study
    with several, no one view is that of an image.
    `sites` holds the best answer first; several parts that have a combined concept (chest,
    abdomen and pelvis) are that one concept. `used` are the words that the answer rests on,
    `ignored` those that carry no meaning here; both in the order of the value. `method` is how the
    sites were found, `None` where there are none and no decision says so.
    """

    value: str
    sites: tuple[Site, ...] = ()
    laterality: Laterality | None = None
    view: View | None = None
    ignored: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    used: tuple[str, ...] = ()
    method: Method | None = None
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderStatement:
    """What one DICOM attribute says, whether or not another attribute agrees.

    `keyword` is the DICOM keyword and `tag` its number as "(gggg,eeee)"; `value` is the text or
    code that stood there. `used`, `ignored` and `method`
    are as in `TextReading`.
    """

    keyword: str
    tag: str
    value: str
    sites: tuple[Site, ...] = ()
    laterality: Laterality | None = None
    view: View | None = None
    ignored: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    used: tuple[str, ...] = ()
    method: Method | None = None
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderReading:
    """What a header says as a whole: the most trusted statement first, the others kept.

    `conflicts` names in words the statements that contradict the answer, `flags` what is odd
    about the header (an unknown character set, a value that breaks its VR). `age_years` comes from
    PatientAge or from the dates, and is `None` when neither is there.
    """

    sites: tuple[Site, ...] = ()
    laterality: Laterality | None = None
    view: View | None = None
    modality: str | None = None
    age_years: float | None = None
    statements: tuple[HeaderStatement, ...] = ()
    conflicts: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Source(StrEnum):
    """Where an examined site comes from."""

    HEADER = "header"
    IMAGE = "image"
    FUSED = "fused"


class Relation(StrEnum):
    """How the header's answer and the image's answer stand to each other (DESIGN: fusion)."""

    EQUAL = "EQUAL"
    HEADER_BROADER = "HEADER_BROADER"
    HEADER_NARROWER = "HEADER_NARROWER"
    NEIGHBOUR = "NEIGHBOUR"
    CONFLICT = "CONFLICT"
    HEADER_ONLY = "HEADER_ONLY"
    IMAGE_ONLY = "IMAGE_ONLY"
    NONE = "NONE"


class RouterGroup(StrEnum):
    """The five groups of the DICOM Imaging Router, derived from site and age."""

    ABDOMEN = "abdomen"
    ADULT_CHEST = "adult chest"
    PAEDIATRIC_CHEST = "paediatric chest"
    SPINE = "spine"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A technical attribute of a header, under its DICOM keyword.

    `value` is a number, a code or a name, several joined by backslashes, and may be empty. `text`
    is what a person may have written there: only the PHI policy of the caller lets it out.
    """

    keyword: str
    value: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """Who an image is: the identifiers and the few facts that FHIR's ImagingStudy asks for.

    UIDs are as the file has them. `patient_id` and `accession_number` are identifying: only the
    PHI policy of the caller decides whether they leave the process, and in which form. `started`
    is a FHIR dateTime of what precision the header allows. `acquisition` is how it was taken.
    """

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str | None = None
    modality: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    accession_number: str | None = None
    started: str | None = None
    series_number: int | None = None
    instance_number: int | None = None
    acquisition: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class ExaminedSite:
    """An examined site and where it comes from."""

    site: Site
    source: Source


@dataclass(frozen=True, slots=True)
class Answers:
    """The examined site by five ways of joining header and image, kept apart; each best first.

    `header` and `image` are what each says alone. `union` holds a site that either says, for
    recall; `intersection` what both agree on, for precision: the more specific of two sites of
    which one subsumes the other. `bayes` weighs both by how reliable they are.
    """

    header: tuple[Site, ...] = ()
    image: tuple[Site, ...] = ()
    union: tuple[Site, ...] = ()
    intersection: tuple[Site, ...] = ()
    bayes: tuple[Site, ...] = ()


@dataclass(frozen=True, slots=True)
class BodySiteAnnotation:
    """The answer for one instance.

    `examined` holds the answer first; empty means "not known". `visible` lists the sites that a
    model saw, and is empty while no model is loaded. `header` keeps every attribute's statement,
    `image` every site that the model offered. `answers` are the five ways of joining them, `None`
    while no model is loaded. `review` says in codes why a person should look at the instance;
    empty means that nobody need. `view_confidence` is how probable a model finds `view`, `None`
    where it does not say so; `reasons` are codes of why it has no answer for the image. `notes`
    say in words what a reader must know, such as that no model was loaded.
    """

    instance: Instance | None
    modality: str | None = None
    examined: tuple[ExaminedSite, ...] = ()
    visible: tuple[Site, ...] = ()
    view: View | None = None
    laterality: Laterality | None = None
    router_group: RouterGroup | None = None
    relation: Relation = Relation.NONE
    header: tuple[HeaderStatement, ...] = ()
    image: tuple[Site, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    conflicts: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    answers: Answers | None = None
    review: tuple[str, ...] = ()
    view_confidence: float | None = None
    reasons: tuple[str, ...] = ()
