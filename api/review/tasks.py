"""The Task of a study that a person should look at: opened, kept and closed with its answers.

It is made with the other resources of the study, so that it is there as soon as its reason is, and
completed as soon as the last verdict is in. A person claims it by an update: owner, status,
priority and notes are then that person's, what is to be judged stays the service's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from api import codes
from api.fhir import logical_id, without_empty
from api.indexing import indexed
from api.records import PERSON, Resource, Stored
from api.review.verdicts import Judged
from classifier.fusion.review import Review
from terminology.annotation import BodySiteAnnotation
from terminology.graph import BodyStructureGraph

# What the service says of a Task of its own, whoever has claimed it.
MANAGED: Final = ("intent", "code", "description", "focus", "for", "reasonCode", "input", "output")
_DESCRIPTION: Final = "A person should look at the body sites that were read for this study."
_TO_JUDGE: Final = {"text": "Observation to judge"}
_UNANSWERED: Final = {"text": "Series without an examined site"}
_VERDICT: Final = {"text": "Verdict"}
# What no verdict undoes: a person has said that nobody will look.
_LEFT: Final = frozenset({"rejected", "cancelled", "failed", "entered-in-error"})
# An image that shows another part or side than its header says is taken for another one's.
_URGENT: Final = frozenset({Review.CONFLICT, Review.LATERALITY_CONFLICT})


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A series with its verdicts.

    Attributes
    ----------
    waiting
        Ids of the Observations that still have to be judged.
    """

    uid: str
    members: tuple[BodySiteAnnotation, ...]
    judged: Judged
    waiting: tuple[str, ...]

    @property
    def open(self) -> bool:
        """Whether a person should still look."""
        return bool(self.judged.reasons)


def task_id(study: str) -> str:
    """Return the logical id of the Task of a study."""
    return logical_id("task", study)


def review_task(
    study: str,
    subject: Mapping[str, Any],
    series: Sequence[Reviewed],
    verdicts: Sequence[str],
    owned: Stored | None,
    graph: BodyStructureGraph,
) -> Resource | None:
    """Return the Task of a study, `None` where no instance of it ever asked for a person.

    Parameters
    ----------
    verdicts
        Ids of the Observations that are verdicts.
    owned
        The Task as a person left it, `None` where nobody has claimed it.
    """
    # What was asked for once stays on the list, so that it can be seen to be done.
    asked = dict.fromkeys(
        reason for one in series for member in one.members for reason in member.review
    )
    open_ = dict.fromkeys(reason for one in series for reason in one.judged.reasons)
    if not asked and owned is None:
        return None
    reasons = list(open_ or asked)
    content = {
        "status": "requested" if open_ else "completed",
        "intent": "proposal",
        "priority": "urgent" if _URGENT.intersection(reasons) else "routine",
        "code": codes.NEEDED,
        "description": _DESCRIPTION,
        "focus": {"reference": f"ImagingStudy/{study}"},
        "for": dict(subject),
        "reasonCode": {"coding": [_reason(one) for one in reasons]} if reasons else None,
        "input": list(_inputs(series)),
        "output": [
            {"type": _VERDICT, "valueReference": {"reference": f"Observation/{one}"}}
            for one in verdicts
        ],
    }
    content = without_empty(content)
    whole = {"resourceType": "Task", "id": task_id(study), **content}
    if owned is None:
        return indexed("Task", whole, graph=graph)
    claimed = _claimed(json.loads(owned.body), whole, asked=bool(asked), open_=bool(open_))
    return replace(indexed("Task", claimed, graph=graph), origin=PERSON)


def _claimed(
    theirs: dict[str, Any], ours: Mapping[str, Any], *, asked: bool, open_: bool
) -> dict[str, Any]:
    """Return the Task of a person with what is to be judged now."""
    status = theirs.get("status")
    if status not in _LEFT:
        if not asked and status != "completed":
            status = "cancelled"
        elif asked and not open_:
            status = "completed"
        elif open_ and status == "completed":
            # New images brought new questions.
            status = "requested"
    return {**with_managed(theirs, ours), "status": status}


def with_managed(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person's Task with what the service says of it."""
    meta = {
        key: value
        for key, value in theirs.get("meta", {}).items()
        if key not in ("versionId", "lastUpdated")
    }
    kept = {key: value for key, value in theirs.items() if key not in (*MANAGED, "meta")}
    managed = {key: ours[key] for key in MANAGED if key in ours}
    return {**kept, **({"meta": meta} if meta else {}), **managed}


def _inputs(series: Sequence[Reviewed]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in series:
        if one.open:
            found += [
                {"type": _TO_JUDGE, "valueReference": {"reference": f"Observation/{waiting}"}}
                for waiting in one.waiting
            ]
            if not one.waiting:
                found.append({"type": _UNANSWERED, "valueId": one.uid})
    return found


def _reason(code: str) -> dict[str, str]:
    return {"system": codes.REVIEW, "code": code, "display": codes.review_display(code)}
