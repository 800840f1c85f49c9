"""The table of decisions as a file: its metadata, and the bytes that its rows become."""

from __future__ import annotations

import json
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import yaml

from terminology import sssom
from terminology.local import DECISIONS_TABLE
from terminology.mapping import MappingSet, SemanticMapping
from terminology.proposals import DecisionError

_SOURCE: Final = "https://w3id.org/bodysite/CodeSystem/header-words"
# SSSOM: what a mapping set says that leaves the question of its licence open.
_LICENSE: Final = "https://w3id.org/sssom/license/unspecified"
_EXTENSIONS: Final = (
    "subject_field",
    "subject_scope",
    "subject_language",
    "object_laterality",
    "object_view",
)
_EMPTY: Final = ("subject_label", "predicate_id", "object_id", "mapping_justification")
_VERSION: Final = re.compile(r"mapping_set_version:.*")


def written(
    present: MappingSet, rows: Sequence[SemanticMapping], prefixes: Mapping[str, str]
) -> bytes:
    """Return the table `present` with `rows` in the place of its own, as the file has it.

    `prefixes` are those that CURIEs of the rows may have; the metadata declares the ones in use.

    Raises
    ------
    DecisionError
        The metadata are written so that a prefix cannot be declared.
    TableError
        What would be written could not be read again.
    """
    block = _declaring(present.block or _block(), rows, prefixes)
    text = _text(replace(present, mappings=tuple(rows), block=block))
    _check_readable(text)
    return text


def _declaring(
    block: tuple[str, ...], rows: Sequence[SemanticMapping], prefixes: Mapping[str, str]
) -> tuple[str, ...]:
    """Return `block` of today, with the prefixes of the CURIEs of `rows` declared."""
    declared = yaml.safe_load("\n".join(block)).get("curie_map") or {}
    curies = {curie for row in rows for curie in (row.author_id, row.mapping_source) if curie}
    used = {curie.partition(":")[0] for curie in curies}
    missing = sorted(used & set(prefixes) - set(declared), reverse=True)
    lines = [_VERSION.sub(f'mapping_set_version: "{_today()}"', line) for line in block]
    if missing and "curie_map:" not in lines:
        raise DecisionError(
            f"{DECISIONS_TABLE} curie_map",
            f"the prefix '{missing[0]}' cannot be declared",
            "a line 'curie_map:' with a line for each prefix below it",
            "Write the block so, as 'bodysite mappings' does.",
        )
    place = lines.index("curie_map:") + 1 if missing else 0
    for prefix in missing:
        lines.insert(place, f"  {prefix}: {json.dumps(prefixes[prefix])}")
    return tuple(lines)


def _text(table: MappingSet) -> bytes:
    """Return the table as it is written; one without rows keeps its columns, and its identity."""
    if table.mappings:
        return sssom.dumps(table).encode()
    lines = [*(f"#{line}" for line in table.block), "\t".join(_EMPTY)]
    return ("\n".join(lines) + "\n").encode()


def _check_readable(text: bytes) -> None:
    """Raise what reading a table of this text would: one that cannot be read is never written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, DECISIONS_TABLE)
        path.write_bytes(text)
        sssom.read(path)


def _block() -> tuple[str, ...]:
    """Return the metadata of a new table; its identifier is its own, and stays."""
    extensions = [
        line
        for slot in _EXTENSIONS
        for line in (
            f"  - slot_name: {slot}",
            f"    property: bodysite:{slot}",
            "    type_hint: xsd:string",
        )
    ]
    return (
        'sssom_version: "1.1"',
        f"mapping_set_id: https://w3id.org/bodysite/local/{uuid.uuid4()}",
        f'mapping_set_version: "{_today()}"',
        "mapping_set_title: What header values mean at this site",
        f"license: {_LICENSE}",
        "curie_map:",
        "  bodysite: https://w3id.org/bodysite/",
        "  snomedct: http://snomed.info/id/",
        "  xsd: http://www.w3.org/2001/XMLSchema#",
        f"subject_source: {_SOURCE}",
        "object_source: http://snomed.info/sct",
        "extension_definitions:",
        *extensions,
    )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
