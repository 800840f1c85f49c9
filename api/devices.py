"""Device: the header reader, and each model that annotations rest on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any, Final

from pydicom.datadict import tag_for_keyword

from api.codes import CLASSES
from api.fhir import logical_id, resource
from api.model.description import ModelDescription
from api.profiles import mii
from api.records import Resource
from terminology.annotation import BodySiteAnnotation, ExaminedSite, Source
from terminology.concept import SNOMED
from terminology.graph import BodyStructureGraph

_NOT_A_DEVICE: Final = "For research and data curation; this is no medical device."
_READER: Final = "Bodysite header reader"
_TEXT: Final = "text"


def model_of(annotation: BodySiteAnnotation) -> str | None:
    """Return the name and version of the model that looked at the image, `None` if none did."""
    return next(
        (
            one.source
            for one in annotation.evidence
            # Other evidence is of a DICOM attribute or of a bare string.
            if one.source != _TEXT and tag_for_keyword(one.source) is None
        ),
        None,
    )


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices behind the annotations of one study or picture."""

    header: Resource
    models: Mapping[str, Resource]

    @classmethod
    def of(
        cls,
        annotations: Iterable[BodySiteAnnotation],
        graph: BodyStructureGraph,
        current: ModelDescription | None,
        *,
        for_mii: bool = False,
    ) -> Devices:
        """Return the devices of `annotations`.

        Parameters
        ----------
        graph
            The body structures in use.
        current
            The model that is loaded. Annotations may rest on one of before, of which only the
            name is known.
        """
        names = dict.fromkeys(name for one in annotations if (name := model_of(one)) is not None)
        version = _release()
        models = {}
        for name in names:
            known = current is not None and current.said == name
            described = current if known and current else ModelDescription(name, "")
            models[name] = _device(described, graph, for_mii)
        return cls(_device(ModelDescription(_READER, version), graph, for_mii), models)

    def __iter__(self) -> Iterator[Resource]:
        yield self.header
        yield from self.models.values()

    def of_site(self, site: ExaminedSite, annotation: BodySiteAnnotation) -> Resource:
        """Return what states `site`: the model where it has a part in it, else the reader."""
        if site.source is Source.HEADER:
            return self.header
        return self.models.get(model_of(annotation) or "", self.header)


def scanner_of(members: Sequence[BodySiteAnnotation], graph: BodyStructureGraph) -> Resource | None:
    """Return the Device that took the images of a series, `None` where it is not known."""
    named = mii.scanner_of(members)
    if named is None:
        return None
    return resource("Device", logical_id("scanner", *named), mii.scanner(*named), graph)


@lru_cache(maxsize=1)
def _release() -> str:
    return metadata.version("bodysite")


@lru_cache(maxsize=64)
def _device(of: ModelDescription, graph: BodyStructureGraph, for_mii: bool) -> Resource:
    """Return the Device of a piece of software that reads body structures of a version."""
    structures = graph.version
    versions: list[dict[str, Any]] = [
        {"type": {"text": "software"}, "value": of.version},
        {"type": {"text": "sha256"}, "value": of.sha256},
        {"type": {"text": "body structures"}, "value": structures},
    ]
    classes = [
        {"coding": [{"system": SNOMED, "code": one.code, "display": one.display}]}
        for one in of.classes
    ]
    content = {
        "meta": {"profile": [mii.DEVICE]} if for_mii else {},
        "status": "active",
        "deviceName": [{"name": of.name, "type": "user-friendly-name"}],
        "version": [one for one in versions if one["value"]],
        "property": [{"type": CLASSES, "valueCode": classes}] if classes else [],
        "note": [{"text": _NOT_A_DEVICE}],
    }
    parts = [of.name, of.version, structures, *([of.sha256] if of.sha256 else [])]
    return resource("Device", logical_id("device", *parts), content, graph)
