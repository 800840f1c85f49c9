"""What an IRMA code says: each axis looked up in its list and its table, joined into one reading.

The anatomical axis gives the sites; the others give view, plane, posture, respiration, modality
and body system. A code that is malformed or not in the list is an answer with a reason, so that
one of them does not stop a file of codes; `IrmaCode.parse` and `IrmaList.check` raise instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from terminology.annotation import Evidence
from terminology.concept import Coding, View
from terminology.errors import IdentifierError
from terminology.mapping import BROAD, CLOSE, EXACT
from terminology.sources.irma import IRMA, UNSPECIFIED, Axis, IrmaCode, is_whole, specified
from terminology.sources.irma_lists import IrmaList, embedded_lists
from terminology.sources.reading import CodeReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from terminology.crosswalk import Crosswalk, MappedTarget

# The code systems of this module: the whole code, and the axes by themselves.
IRMA_SYSTEMS: Final = {IRMA: None, **{axis.system: axis for axis in Axis}}
_VIEW: Final = "view"
_STANDING: Final = (EXACT, CLOSE, BROAD)


def read_irma(
    crosswalk: Crosswalk,
    views: Mapping[str, View],
    system: str,
    value: str,
    version: str | None = None,
) -> CodeReading:
    """Return what `value` says, read by the list of `version`, without one by the newest.

    `system` is one of `IRMA_SYSTEMS`. A value of the whole code's system that has no hyphens and
    fits an axis is a code of the anatomical axis. `views` has the views by their code, for what
    DICOM calls them; a view that it lacks has no such name.

    Raises
    ------
    UnknownSystemError
        There is no list of that version, or no table of an axis.
    """
    codes = embedded_lists().of(version)
    try:
        parts = _parts(IRMA_SYSTEMS[system], value)
    except IdentifierError as error:
        return CodeReading(
            system,
            value,
            evidence=(Evidence(system, (value,), note=str(error)),),
            reason=str(error),
        )
    codings: list[Coding] = []
    targets: list[MappedTarget] = []
    evidence: list[Evidence] = []
    reasons: dict[Axis, str] = {}
    for axis, code in parts.items():
        text = codes.path(axis, code)
        codings.append(Coding(axis.system, code, text, codes.version))
        found, reason = _translate(crosswalk, codes, axis, code)
        targets.extend(found)
        evidence.extend(Evidence(axis.system, (code,), target.rows) for target in found)
        if reason is not None:
            reasons[axis] = reason
            evidence.append(Evidence(axis.system, (code,), note=reason))
    return CodeReading.of(
        system,
        value,
        targets,
        parts=tuple(codings),
        view=_view(targets, views),
        evidence=tuple(evidence),
        reason=_reason(reasons),
    )


def _parts(only: Axis | None, value: str) -> dict[Axis, str]:
    """Return the codes of the axes that `value` has, at full width."""
    if only is None and is_whole(value):
        code = IrmaCode.parse(value)
        return {axis: code.part(axis) for axis in Axis}
    axis = only or Axis.ANATOMICAL
    return {axis: axis.parse(value)}


def _translate(
    crosswalk: Crosswalk, codes: IrmaList, axis: Axis, code: str
) -> tuple[tuple[MappedTarget, ...], str | None]:
    """Return the targets of a code, or none and the reason."""
    entry = codes.entry(axis, code)
    if entry is not None:
        answer = crosswalk.translate(Coding(axis.system, entry.code, version=codes.version))
        return answer.targets, answer.reason
    if not specified(code) and code[:1] != UNSPECIFIED:
        return (), f"the {axis} axis is not known: '{code}'"
    try:
        codes.check_part(axis, code)
    except IdentifierError as error:
        return (), str(error)
    return (), None


def _view(targets: Iterable[MappedTarget], views: Mapping[str, View]) -> View | None:
    """Return the best view; one that is narrower than the code, or only related, is no answer."""
    for target in targets:
        if target.category == _VIEW and target.predicate in _STANDING:
            known = views.get(target.code)
            return View(target.code, target.display, None if known is None else known.dicom)
    return None


def _reason(reasons: dict[Axis, str]) -> str | None:
    """Return why there is no site: the anatomical axis says it where the value has one."""
    return reasons.get(Axis.ANATOMICAL) or next(iter(reasons.values()), None)
