"""The terminology as tools of the Model Context Protocol, for language models.

Needs the extra `mcp`. A question that cannot be answered comes back as a tool error with the
message that the command line would give.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import metadata
from typing import Annotated, Any, Final, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from terminology.annotation import HeaderStatement, TextReading
from terminology.concept import DICOM, SNOMED
from terminology.contract import site_object, target_object, view_object
from terminology.crosswalk import MappedTarget, ReverseTarget
from terminology.errors import BodySiteError
from terminology.library import Terminology
from terminology.live import LiveTerminology
from terminology.queries import Queries
from terminology.sources.codes import SYSTEMS

_LARGEST_PAGE: Final = 1000
_ABOUT: Final = (
    "SNOMED CT body structures: what a code means, what lies above and below it, which code a"
    " DICOM header value, an IRMA code, a UMLS CUI or a UNIFESP label stands for. A code is an"
    " SCTID; where a tool says so, also a post-coordinated expression such as"
    " 85562004:272741003=7771000. For research and data curation; no medical device."
)

_SYSTEMS: Final = (
    f"Name or URI of the code system: {', '.join(sorted(SYSTEMS))} (irma takes whole codes"
    f" TTTT-DDD-AAA-BBB); or {SNOMED} or {DICOM} for the way back"
)
_CODE: Final = "The code, such as 1121-120-930-700 of irma, or the word of Body Part Examined"

_P = ParamSpec("_P")
_R = TypeVar("_R")

Code = Annotated[str, Field(description="SCTID, or a post-coordinated expression")]
Limit = Annotated[int, Field(ge=1, le=_LARGEST_PAGE, description="How many at most")]
Offset = Annotated[int, Field(ge=0, description="How many to pass over")]


def make_server(queries: Queries, terminology: Terminology | LiveTerminology) -> MCPServer[Any]:
    """Return the server with its tools: lookup, search, expand, subsumes, translate, map values.

    Parameters
    ----------
    queries
        Answers about concepts.
    terminology
        The crosswalk and the readers of header values, over the same release; a live one follows
        a site's own tables.
    """
    live = (
        terminology
        if isinstance(terminology, LiveTerminology)
        else LiveTerminology.fixed(terminology)
    )
    server: MCPServer[Any] = MCPServer(
        "bodysite", instructions=_ABOUT, version=metadata.version("bodysite"), log_level="WARNING"
    )

    @server.tool()
    @_told
    def lookup(code: Code) -> dict[str, Any]:
        """Describe a concept: terms, parents, children, attributes, side, history."""
        return queries.lookup(code)

    @server.tool()
    @_told
    def search(
        text: Annotated[str, Field(description="Words, or their beginnings, in any order")],
        within: Annotated[
            str | None, Field(description="ECL; without it the body structures are searched")
        ] = None,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> dict[str, Any]:
        """Find concepts by their terms: exact ones first, near ones only when nothing matches."""
        return queries.search(text, within=within, limit=limit, offset=offset)

    @server.tool()
    @_told
    def expand(
        ecl: Annotated[str, Field(description="An ECL 2.2 expression constraint: << 85562004")],
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> dict[str, Any]:
        """List the concepts that an expression constraint names, and how many they are."""
        return queries.expand(ecl, limit=limit, offset=offset)

    @server.tool()
    @_told
    def subsumes(code_a: Code, code_b: Code) -> dict[str, str]:
        """Say how code A stands to code B: equivalent, subsumes, subsumed-by or not-subsumed."""
        return {"outcome": queries.subsumes(code_a, code_b)}

    @server.tool()
    @_told
    def common_site(
        codes: Annotated[list[str], Field(min_length=1, max_length=50, description="SCTIDs")],
    ) -> dict[str, Any]:
        """Return the nearest body structures that hold all of several, and their distances."""
        return queries.common(codes)

    @server.tool()
    @_told
    def parts(code: Annotated[str, Field(description="SCTID")]) -> dict[str, Any]:
        """Return what a body structure is a part of, and its parts."""
        return queries.parts(code)

    @server.tool()
    @_told
    def translate(
        system: Annotated[str, Field(description=_SYSTEMS)],
        code: Annotated[str, Field(description=_CODE)],
        version: Annotated[
            str | None,
            Field(description="Version of the code system, as 2003 of IRMA; else the newest"),
        ] = None,
    ) -> dict[str, Any]:
        """Translate a code of another system to SNOMED CT, or a SNOMED CT code to the others.

        A whole IRMA code gives body sites, view, modality, plane and body system.
        """
        if system in {SNOMED, DICOM}:
            found = live.current().crosswalk.reverse(code, None, target_system=system)
            return {"targets": [_foreign(one) for one in found]}
        reading = live.current().codes.read(system, code, version)
        return {
            "targets": [_target(one) for one in (*reading.targets, *reading.others)],
            "parts": [
                {"system": part.system, "code": part.code, "display": part.display}
                for part in reading.parts
            ],
            "laterality": reading.laterality,
            "view": view_object(reading.view),
            "reason": reading.reason,
        }

    @server.tool()
    @_told
    def map_header_value(
        value: Annotated[str, Field(description="What the header says, such as 'HAND LI a.p.'")],
        field: Annotated[
            str | None, Field(description="The DICOM keyword, such as BodyPartExamined")
        ] = None,
    ) -> dict[str, Any]:
        """Read a DICOM header value: body sites, side, view, and the words it rests on."""
        now = live.current()
        if field is None:
            reading: TextReading | HeaderStatement = now.text.read(value)
        else:
            reading = now.header.read_value(field, value)
        return {
            "sites": [site_object(site, now.graph) for site in reading.sites],
            "laterality": reading.laterality,
            "view": view_object(reading.view),
            "ignored": list(reading.ignored),
        }

    return server


def _told(question: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn an error of ours into one that the model is shown."""

    @wraps(question)
    def asked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return question(*args, **kwargs)
        except BodySiteError as error:
            raise ToolError(str(error)) from None

    return asked


def _target(target: MappedTarget) -> dict[str, Any]:
    return {
        "system": target.system,
        **target_object(target),
        "category": target.category,
        "rows": list(target.rows),
    }


def _foreign(target: ReverseTarget) -> dict[str, Any]:
    return {
        "system": target.coding.system,
        "version": target.coding.version,
        "code": target.coding.code,
        "display": target.coding.display,
        "laterality": target.laterality,
        "predicate": target.predicate,
        "confidence": target.confidence,
        "rows": list(target.rows),
    }
