"""What the name of a release file says: RF2 specification, "Release File Naming Convention"."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final


class Content(enum.Enum):
    """What a file holds; the value is the ContentType element of its name."""

    CONCEPT = "Concept"
    DESCRIPTION = "Description"
    TEXT_DEFINITION = "TextDefinition"
    RELATIONSHIP = "Relationship"
    CONCRETE = "RelationshipConcreteValues"
    STATED = "StatedRelationship"
    IDENTIFIER = "Identifier"
    REFSET = "Refset"


class Extent(enum.Enum):
    """The release type."""

    SNAPSHOT = "Snapshot"
    FULL = "Full"
    DELTA = "Delta"


@dataclass(frozen=True, slots=True)
class FileName:
    """The elements of a name.

    Attributes
    ----------
    stem
        The name without release type, date and status: equal for the Snapshot and the Full file
        of the same content.
    pattern
        The letters of a reference set's further columns, "cissc"; empty for other files.
    summary
        What stands before the release type, "Language" or "MRCMAttributeRange".
    extent
        `None` when the name does not say it; the folder may.
    unpublished
        The name begins with x: an alpha or beta release.
    archived
        The name begins with z.
    """

    stem: str
    content: Content
    pattern: str
    summary: str
    extent: Extent | None
    unpublished: bool
    archived: bool

    @property
    def shown(self) -> str:
        """Return the content in words for the report."""
        if self.content is not Content.REFSET:
            return str(self.content.value)
        return f"{self.pattern}Refset {self.summary}".rstrip()


_NAME: Final = re.compile(
    r"(?P<status>[xz]?)(?P<type>sct2|der2)_(?P<content>[A-Za-z]+)_(?P<rest>.+)\.txt",
    re.ASCII | re.IGNORECASE,
)
_EXTENT: Final = re.compile(r"(Snapshot|Full|Delta)(?=-|_|$)", re.IGNORECASE)
_DATE: Final = re.compile(r"_[0-9]{8}(T[0-9]{6}Z)?$", re.ASCII)
_REFSET: Final = re.compile(r"(?P<pattern>[cis]*)Refset")
_CONTENTS: Final = {content.value.lower(): content for content in Content}
_EXTENTS: Final = {extent.value.lower(): extent for extent in Extent}


def parse_name(name: str) -> FileName | None:
    """Return what a file name says, or `None` when it is not that of an RF2 data file."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    kind = match["content"]
    refset = _REFSET.fullmatch(kind)
    content = Content.REFSET if refset else _CONTENTS.get(kind.lower())
    if content is None:
        return None
    rest = _DATE.sub("", match["rest"])
    extent = _EXTENT.search(rest)
    stem = rest if extent is None else rest[: extent.start()] + "*" + rest[extent.end() :]
    return FileName(
        stem=f"{match['type']}_{kind}_{stem}".lower(),
        content=content,
        pattern=refset["pattern"] if refset else "",
        summary=rest.partition("_")[0] if extent is None else rest[: extent.start()].rstrip("_"),
        extent=None if extent is None else _EXTENTS[extent[0].lower()],
        unpublished=match["status"].lower() == "x",
        archived=match["status"].lower() == "z",
    )


def extent_of_folder(folders: tuple[str, ...]) -> Extent | None:
    """Return the release type that the innermost folder of that name gives."""
    for folder in reversed(folders):
        if folder.lower() in _EXTENTS:
            return _EXTENTS[folder.lower()]
    return None
