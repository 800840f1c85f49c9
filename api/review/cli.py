"""The command `review`: what a person should look at, that person's verdicts, and rows of them."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from api.commands import PHI, config_option
from terminology.console import BodySiteGroup, echo_json, misuse, release_option

if TYPE_CHECKING:
    from api.review.desks import Desk
    from api.settings import Settings
    from terminology.library import Terminology

Json = dict[str, Any]
_WORKLIST: Final = (("review:missing", "false"), ("status", "preliminary"))
_OPEN_TASKS: Final = (("status", "requested,received,accepted,in-progress,on-hold"),)
_SIDE: Final = click.Choice(["left", "right", "bilateral"])


@click.group("review", cls=BodySiteGroup)
def review() -> None:
    """List what a person should look at, say what is right, and take the verdicts out as rows.

    Every command works on a database, or with --server on a running service.
    """


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the resources are."""
    for option in (
        click.option("--server", metavar="URL", help="A FHIR R4 endpoint, such as http://…/r4."),
        click.option(
            "--token-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="The bearer token for --server, in the first line of a file.",
        ),
        click.option("--database", metavar="URL", help="As of 'bodysite serve'."),
        click.option("--phi", type=PHI, help="As of 'bodysite serve'."),
        click.option("--model", metavar="FILE|none", help="As of 'bodysite serve'."),
        config_option,
        release_option,
    ):
        command = option(command)
    return command


_by = click.option(
    "--by",
    default=getpass.getuser,
    show_default="the user of the system",
    metavar="NAME",
    help="Who says so.",
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@review.command("list")
@_json
@_where
def list_command(as_json: bool, **where: Any) -> None:
    """List the answers that a person should look at, and the series without one."""
    found = False
    with _desk(where) as desk:
        for content in desk.search("Observation", _WORKLIST):
            found = True
            _show(_line(content), as_json=as_json)
        for line in _unanswered(desk):
            found = True
            _show(line, as_json=as_json)
    if not found:
        click.echo("Nothing is left to look at.", err=True)


@review.command("show")
@click.argument("observation")
@_json
@_where
def show(observation: str, as_json: bool, **where: Any) -> None:
    """Show what an Observation says, what it rests on, and why a person should look."""
    with _desk(where) as desk:
        content = desk.read("Observation", observation)
    if as_json:
        echo_json(content)
        return
    _show(_line(content), as_json=False)
    for component in content.get("component", ()):
        name = component["code"].get("text") or component["code"]["coding"][0].get("display")
        value = component.get("valueCodeableConcept", {}).get("coding", [{}])[0]
        amount = component.get("valueQuantity", {})
        said = value.get("display") or value.get("code") or f"{amount.get('value', '')} %"
        click.echo(f"  {name}: {said}")
    for note in content.get("note", ()):
        click.echo(f"  {note['text']}")


@review.command("confirm")
@click.argument("observations", nargs=-1, required=True)
@_by
@_json
@_where
def confirm(observations: tuple[str, ...], by: str, as_json: bool, **where: Any) -> None:
    """Say that answers are right."""
    _each(observations, by, where, as_json, lambda content: {**content, "status": "final"})


@review.command("reject")
@click.argument("observations", nargs=-1, required=True)
@_by
@_json
@_where
def reject(observations: tuple[str, ...], by: str, as_json: bool, **where: Any) -> None:
    """Say that answers are wrong, without another one."""
    _each(
        observations, by, where, as_json, lambda content: {**content, "status": "entered-in-error"}
    )


@review.command("correct")
@click.argument("observation")
@click.option("--site", metavar="CODE|WORDS", help="The site, such as 85562004 or 'left hand'.")
@click.option("--side", type=_SIDE, help="The side.")
@click.option("--view", metavar="CODE|WORDS", help="The view, such as AP.")
@_by
@_json
@_where
def correct(
    observation: str,
    site: str | None,
    side: str | None,
    view: str | None,
    by: str,
    as_json: bool,
    **where: Any,
) -> None:
    """Say what is right: another site, side or view.

    OBSERVATION is an id, or STUDY/SERIES-UID of a series that has no answer.
    """
    from api.review.said import corrected, new_verdict, site_said, view_said
    from terminology.concept import Laterality

    if site is None and side is None and view is None:
        misuse("nothing is said; expected --site, --side or --view.")
    terminology = _terminology(where)
    said_site = site_said(site, terminology) if site is not None else None
    said_view = view_said(view, terminology) if view is not None else None
    said_side = Laterality(side) if side is not None else None
    study, _, series = observation.rpartition("/")
    with _desk(where, by) as desk:
        if not study or study == "Observation":
            content = desk.read("Observation", series)
        elif said_site is None:
            misuse("a series without an answer needs --site.")
        else:
            content = new_verdict(desk.read("ImagingStudy", study.rpartition("/")[2]), series)
        made = corrected(content, said_site, said_side, said_view)
        _show(_line(desk.write(_signed(made, by))), as_json=as_json)


@review.command("undo")
@click.argument("observations", nargs=-1, required=True)
@_by
@_where
def undo(observations: tuple[str, ...], by: str, **where: Any) -> None:
    """Withdraw verdicts: what the machine says counts again."""
    with _desk(where, by) as desk:
        for one in observations:
            desk.delete("Observation", one)


@review.command("export")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The CSV file.  [default: stdout]",
)
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the images are: each row then names its file.",
)
@click.option("--database", metavar="URL", help="As of 'bodysite serve'.")
@click.option("--phi", type=PHI, help="As of 'bodysite serve'.")
@config_option
@release_option
def export(out: Path | None, images: Path | None, **where: Any) -> None:
    """Write the verdicts as rows: one an image, with what was said before and what is right.

    The file is a manifest to train on (kind manifest), and a table that 'bodysite reliability
    learn' counts.
    """
    import csv
    import sys

    from api.app import open_releases, terminology_over
    from api.commands import opened_store
    from api.phi import PhiGuard
    from api.review.corrections import COLUMNS, Corrections, with_paths
    from api.security.keys import pseudonym_key
    from terminology.files import written_whole

    settings = _settings(where)
    graph = terminology_over(open_releases(settings.releases), settings).latest.graph
    store = opened_store(settings.database)
    try:
        store.bind_policy(settings.phi)
        guard = PhiGuard(settings.phi, pseudonym_key(settings.phi_key_file, store))
        rows = Corrections(store, graph, guard).rows()
        if images is not None:
            rows = with_paths(rows, images, (out or Path("-")).resolve().parent, guard)
        if out is None:
            csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n").writeheader()
            csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n").writerows(rows)
            return
        with written_whole(out) as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        misuse(f"--out: {out} cannot be written ({error.strerror}).")
    finally:
        store.close()


def _each(
    observations: tuple[str, ...],
    by: str,
    where: Json,
    as_json: bool,
    said: Callable[[Json], Json],
) -> None:
    with _desk(where, by) as desk:
        for one in observations:
            content = said(desk.read("Observation", one.rpartition("/")[2]))
            _show(_line(desk.write(_signed(content, by))), as_json=as_json)


def _signed(content: Json, by: str) -> Json:
    return {**content, "performer": [{"display": by}]}


def _unanswered(desk: Desk) -> Iterator[Json]:
    """Yield the series that neither header nor image names a site of."""
    for task in desk.search("Task", _OPEN_TASKS):
        reasons = [one["code"] for one in task.get("reasonCode", {}).get("coding", ())]
        study = task.get("focus", {}).get("reference", "").rpartition("/")[2]
        for one in task.get("input", ()):
            if "valueId" in one:
                yield {
                    "id": f"{study}/{one['valueId']}",
                    "status": task["status"],
                    "site": None,
                    "laterality": None,
                    "study": study,
                    "series": one["valueId"],
                    "review": reasons,
                }


def _line(content: Json) -> Json:
    """Return what the list shows of an Observation."""
    from api.review.statement import Statement

    said = Statement.of(content)
    return {
        "id": content["id"],
        "status": content["status"],
        "site": content.get("bodySite", {}).get("coding", [None])[0],
        "laterality": said.side,
        "study": said.study,
        "series": said.series,
        "review": list(said.reasons),
    }


def _show(line: Json, *, as_json: bool) -> None:
    if as_json:
        echo_json(line)
        return
    site = line["site"] or {}
    name = f"{site.get('code')} |{site.get('display')}|" if site else "no site"
    side = f" {line['laterality']}" if line["laterality"] else ""
    reasons = ", ".join(line["review"])
    click.echo(f"{line['id']}\t{line['status']}\t{name}{side}\t{reasons}")


def _settings(where: Json) -> Settings:
    from api.operations.configuration import load_configuration

    given = {
        "database": where["database"],
        "phi": where["phi"],
        "model": where.get("model"),
        "releases": (where["release"],) if where["release"] else None,
    }
    return load_configuration(
        {key: value for key, value in given.items() if value is not None}, where["config"]
    ).settings


def _terminology(where: Json) -> Terminology:
    from api.app import open_releases, terminology_over

    settings = _settings(where)
    return terminology_over(open_releases(settings.releases), settings).latest


@contextmanager
def _desk(where: Json, by: str | None = None) -> Iterator[Desk]:
    """Yield the desk that the options name; one that writes where `by` says who."""
    from api.review.desks import ServerDesk, open_database

    if where["server"] is not None:
        if where["database"] is not None:
            misuse("--server and --database are two places; expected one of them.")
        yield ServerDesk(where["server"], _token(where["token_file"]))
        return
    with open_database(_settings(where), by or "", writes=by is not None) as desk:
        yield desk


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        lines = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        misuse(f"--token-file: {path} cannot be read ({type(error).__name__}).")
    if not lines:
        misuse(f"--token-file: {path} holds no token.")
    return lines[0]
