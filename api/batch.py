"""Results of the annotator → resources, stored study by study, and the Bundle that answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from api.annotator import Annotated, Failed, Result
from api.bundles import Entry, collection, dump
from api.outcome import outcome, outcome_of
from api.records import Resource
from api.resources import ANNOTATION, ResourceBuilder, study_id
from api.store import ResourceStore
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
    """Store every study of `batch`, each in one transaction.

    Returns
    -------
    dict of str to list of Entry
        Study Instance UID → the resources of the study as they are now, with what earlier
        batches put into it. Some are shared with other studies: see `once`.
    """
    studies: dict[str, list[Entry]] = {}
    for uid, results in batch.studies.items():
        bodies = {
            _sop_instance_uid(result.annotation): ANNOTATION.dump_json(result.annotation).decode()
            for result in results
        }

        def build(known: Sequence[str]) -> list[Resource]:
            return builder.study([ANNOTATION.validate_json(body) for body in known])

        studies[uid] = [
            Entry(stored.body, f"{base}/{stored.type}/{stored.id}")
            for stored in store.update_study(study_id(uid), bodies, build)
        ]
    return studies


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


def outcome_entries(batch: Batch) -> list[Entry]:
    """Return an OperationOutcome for every bad file, every picture, and what stayed unknown."""
    outcomes = [outcome_of(failed.error) for failed in batch.failed]
    for picture in batch.pictures:
        outcomes.append(outcome("warning", "not-supported", _of_picture(picture), picture.name))
    unknown = [
        result.name
        for results in batch.studies.values()
        for result in results
        if not result.annotation.examined
    ]
    if unknown:
        shown = ", ".join(unknown[:_NAMES_SHOWN])
        more = f" and {len(unknown) - _NAMES_SHOWN} more" if len(unknown) > _NAMES_SHOWN else ""
        text = (
            f"No body site is known for {len(unknown)} file(s), so none is stated: {shown}{more}."
        )
        outcomes.append(outcome("information", "informational", text))
    return [Entry(dump(one)) for one in outcomes]


def answer(batch: Batch, entries: Sequence[Entry]) -> str:
    """Return the Bundle that answers a request."""
    return collection([*entries, *outcome_entries(batch)])


def _of_picture(picture: Annotated) -> str:
    annotation = picture.annotation
    said = (
        f"the modality {annotation.modality!r} that the request gave"
        if annotation.modality
        else "no modality, since the request gave none (?modality=DX)"
    )
    sites = ", ".join(f"{one.site.code} |{one.site.display}|" for one in annotation.examined)
    if sites:
        shown = f"The model's answer: {sites}."
    else:
        shown = " ".join(annotation.notes) or "The model's answer: not known."
        if not annotation.image and annotation.notes:
            shown = "No model is loaded, so nothing is known of what it shows."
    return (
        f"{picture.name}: a {picture.picture} picture has no header. Known of it: {said}. {shown}"
        " It has no UIDs, so no ImagingStudy is made or stored; send the DICOM file for one."
    )


def _sop_instance_uid(annotation: BodySiteAnnotation) -> str:
    assert annotation.instance is not None  # noqa: S101
    return annotation.instance.sop_instance_uid
