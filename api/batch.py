"""Results of the annotator → resources, stored study by study, and the Bundle that answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.annotator import Annotated, Failed, Result
from api.bundles import Entry, collection, dump
from api.devices import model_of
from api.outcome import outcome, outcome_of
from api.records import Resource, Stored
from api.resources import ANNOTATION, ResourceBuilder, picture_id, study_id
from api.store import ResourceStore, StudyUpdate
from classifier.fusion import NO_MODEL
from terminology.annotation import BodySiteAnnotation

_NAMES_SHOWN = 20


@dataclass(slots=True)
class Batch:
    """The results of one request or command, sorted into studies, pictures and failures."""

    studies: dict[str, list[Annotated]] = field(default_factory=lambda: defaultdict(list))
    pictures: list[Annotated] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)

    @classmethod
    def of(cls, results: Iterable[Result]) -> Batch:
        """Sort `results`; studies keep the order in which they came."""
        batch = cls()
        for result in results:
            if isinstance(result, Failed):
                batch.failed.append(result)
            elif result.annotation.instance is None:
                batch.pictures.append(result)
            else:
                batch.studies[result.annotation.instance.study_uid].append(result)
        return batch

    @property
    def annotated(self) -> int:
        """How many files went through."""
        return sum(map(len, self.studies.values())) + len(self.pictures)


def stored_studies(
    batch: Batch, builder: ResourceBuilder, store: ResourceStore, base: str
) -> dict[str, list[Entry]]:
    """Store every study of `batch`, each of them wholly or not at all.

    Returns
    -------
    dict of str to list of Entry
        Study Instance UID → the resources of the study as they are now, with what earlier
        batches put into it. Some are shared with other studies: see `once`.
    """
    stored = store.update_studies(_update(uid, of, builder) for uid, of in batch.studies.items())
    return {
        uid: [Entry(one.body, f"{base}/{one.type}/{one.id}") for one in resources]
        for uid, resources in zip(batch.studies, stored, strict=True)
    }


def _update(uid: str, results: Iterable[Annotated], builder: ResourceBuilder) -> StudyUpdate:
    """Return what comes to a study."""
    latest = {_sop_instance_uid(result.annotation): result.annotation for result in results}
    bodies = {sop: ANNOTATION.dump_json(one).decode() for sop, one in latest.items()}
    # What was just written need not be read.
    at_hand = {body: latest[sop] for sop, body in bodies.items()}

    def build(known: Sequence[str], verdicts: Sequence[Stored]) -> list[Resource]:
        annotations = [at_hand.get(body) or ANNOTATION.validate_json(body) for body in known]
        return builder.study(annotations, verdicts)

    return StudyUpdate(study_id(uid), bodies, build)


def stored_pictures(
    batch: Batch, builder: ResourceBuilder, store: ResourceStore, base: str
) -> list[Entry]:
    """Store what the model says of the pictures of `batch`, each wholly or not at all.

    The same picture again updates what was said of it; without a model, nothing is stored.
    """
    entries: dict[str, Entry] = {}
    for digest, annotation in _looked_at(batch).items():
        body = ANNOTATION.dump_json(annotation).decode()

        def build(
            _known: Sequence[str],
            verdicts: Sequence[Stored],
            annotation: BodySiteAnnotation = annotation,
            digest: str = digest,
        ) -> list[Resource]:
            return builder.picture(annotation, digest, verdicts)

        for stored in store.update_study(picture_id(digest), {digest: body}, build):
            url = f"{base}/{stored.type}/{stored.id}"
            entries[url] = Entry(stored.body, url)
    return list(entries.values())


def once(studies: Iterable[Iterable[Entry]]) -> list[Entry]:
    """Return the entries of all `studies`, what several share only once and as it is last."""
    return list({entry.full_url: entry for entries in studies for entry in entries}.values())


def unstored_entries(batch: Batch, builder: ResourceBuilder, base: str) -> list[Entry]:
    """Return the resources of `batch` alone, without storing or reading anything."""
    entries: dict[str, Entry] = {}
    for resource in unstored_resources(batch, builder):
        url = f"{base}/{resource.type}/{resource.id}"
        entries[url] = Entry(dump(resource.content), url)
    return list(entries.values())


def unstored_resources(batch: Batch, builder: ResourceBuilder) -> Iterable[Resource]:
    """Yield the resources of `batch` alone, each of them once."""
    seen: set[tuple[str, str]] = set()
    for results in batch.studies.values():
        latest = {_sop_instance_uid(one.annotation): one.annotation for one in results}
        for resource in builder.study(list(latest.values())):
            if (resource.type, resource.id) not in seen:
                seen.add((resource.type, resource.id))
                yield resource
    for digest, annotation in _looked_at(batch).items():
        for resource in builder.picture(annotation, digest):
            if (resource.type, resource.id) not in seen:
                seen.add((resource.type, resource.id))
                yield resource


def _looked_at(batch: Batch) -> dict[str, BodySiteAnnotation]:
    """Return the annotations of the pictures that a model looked at, each picture once."""
    return {
        one.picture.digest: one.annotation
        for one in batch.pictures
        if one.picture is not None and model_of(one.annotation) is not None
    }


def outcome_entries(batch: Batch) -> list[Entry]:
    """Return an OperationOutcome for every bad file or image, every picture, and the rest."""
    outcomes = [outcome_of(failed.error) for failed in batch.failed]
    outcomes += [
        outcome("warning", "processing", _of_refused(result), result.name)
        for results in batch.studies.values()
        for result in results
        if result.refused is not None
    ]
    outcomes += [_of_picture(picture) for picture in batch.pictures]
    results = [result for results in batch.studies.values() for result in results]
    imageless = [result.name for result in results if result.imageless]
    if imageless:
        text = (
            f"{len(imageless)} file(s) hold no image that a model could look at, so the header"
            f" stands alone: {_listed(imageless)}."
        )
        outcomes.append(outcome("information", "informational", text))
    unknown = [result.name for result in results if not result.annotation.examined]
    if unknown:
        text = (
            f"No body site is known for {len(unknown)} file(s), so none is stated:"
            f" {_listed(unknown)}."
        )
        outcomes.append(outcome("information", "informational", text))
    return [Entry(dump(one)) for one in outcomes]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def answer(batch: Batch, entries: Sequence[Entry]) -> str:
    """Return the Bundle that answers a request."""
    return collection([*entries, *outcome_entries(batch)])


def _of_refused(result: Annotated) -> str:
    return f"{result.name}: {' '.join(result.annotation.notes)}"


def _of_picture(picture: Annotated) -> dict[str, Any]:
    annotation = picture.annotation
    kind = picture.picture.kind if picture.picture is not None else "plain"
    said = (
        f"the modality {annotation.modality!r}"
        if annotation.modality
        else "no modality, since the request gave none (?modality=DX)"
    )
    sites = ", ".join(f"{one.site.code} |{one.site.display}|" for one in annotation.examined)
    if sites:
        shown = f"The model's answer: {sites}."
    elif model_of(annotation) is not None:
        shown = " ".join(("The model's answer: not known.", *annotation.notes))
    else:
        shown = "No model is loaded, so nothing is known of what it shows."
        shown = " ".join((shown, *(note for note in annotation.notes if note != NO_MODEL)))
    if annotation.review:
        shown += f" A person should look: {', '.join(annotation.review)}."
    text = (
        f"{picture.name}: a {kind} picture has no header. Known of it: {said}. {shown}"
        " It has no UIDs, so no ImagingStudy is made; send the DICOM file for one."
    )
    if sites or annotation.visible:
        return outcome("information", "informational", text, picture.name)
    return outcome("warning", "not-supported", text, picture.name)


def _sop_instance_uid(annotation: BodySiteAnnotation) -> str:
    assert annotation.instance is not None  # noqa: S101
    return annotation.instance.sop_instance_uid
