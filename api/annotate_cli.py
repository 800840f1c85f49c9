"""The command `annotate`: body sites for files, folders and zips.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 some files failed,
2 misuse or nothing usable, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from api.commands import PHI, opened_store, quiet_interrupt
from terminology.console import (
    DONE,
    FINDINGS,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)

if TYPE_CHECKING:
    from api.annotate_journal import Journal
    from api.annotate_progress import Watch
    from api.annotate_work import Done, Unit, Work
    from api.annotator import Annotator, Result
    from api.phi import PhiGuard
    from api.store import SqlStore

_SALT_BYTES: Final = 32
# Formats that are written file by file; of the others, a study is known when all files are.
_BY_FILE: Final = frozenset({"json", "csv"})
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "fhir", "ndjson", "csv"]),
    default="json",
    show_default=True,
    help="json: an object a file; fhir: one Bundle; ndjson: a resource a line; csv: a row a file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this file, or into this folder, instead of stdout; it appears when complete.",
)
@click.option(
    "--review",
    type=_FILE,
    metavar="CSV",
    help="List the images that a person should look at, and why.",
)
@click.option(
    "--model",
    envvar="BODYSITE_MODEL",
    metavar="FILE|none",
    help="The model that reads the pixels, a .bodysite file, or BODYSITE_MODEL; 'none' reads"
    " headers only.  [default: the model that is shipped]",
)
@click.option(
    "--processes",
    type=click.IntRange(0, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Read in so many processes; 0: one a core. From 2 on, a file that brings a decoder down"
    " is an error like any other.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where the same command was interrupted; goes with --out and json or csv.",
)
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show how far it is on stderr.  [default: on a terminal]",
)
@click.option("--phi", type=PHI, help="What happens to identifiers.  [default: hash]")
@click.option(
    "--database",
    metavar="URL",
    help="Store the resources as well, such as sqlite:///bodysite.sqlite.",
)
@click.option("--modality", metavar="CODE", help="What plain pictures are, such as DX.")
@mappings_option
@settings_option
@release_option
def annotate(
    paths: tuple[str, ...],
    form: str,
    out: Path | None,
    review: Path | None,
    model: str | None,
    processes: int,
    resume: bool,
    progress: bool | None,
    phi: str | None,
    database: str | None,
    modality: str | None,
    mappings: Path | None,
    settings: Path | None,
    release: Path | None,
) -> None:
    """Give radiology images their body sites, by header and pixels.

    PATH is a file (DICOM, PNG, JPEG, TIFF), a folder (searched through, in sorted order), a zip,
    or - for stdin. What a folder holds beside images is passed by and counted.

    Pseudonyms are made with the secret of the --database; without one they differ from run to run.
    """
    from api.annotate_progress import watching
    from api.annotate_work import Work, cores
    from api.annotator import check_modality
    from api.limits import Limits
    from api.model_choice import chosen_model
    from api.output import target_of

    check_modality(modality, where="--modality")
    target = None if out is None else target_of(out, form)
    _check_outputs(paths, target, review)
    processes = processes or cores()
    if processes > 1 and "-" in paths:
        misuse("--processes: '-' is one stream, which one process reads. Leave --processes out.")
    _check_resume(resume, paths, form, target)
    with quiet_interrupt(), contextlib.ExitStack() as stack:
        store = None
        if database is not None:
            store = stack.enter_context(contextlib.closing(opened_store(database)))
        guard = _guard(phi, store)
        if resume and store is None and guard.policy == "drop":
            misuse(
                "--resume: under --phi drop UIDs become pseudonyms, which differ from run to run."
                " Name a --database, which keeps their secret."
            )
        choice = chosen_model(model)
        if choice.problem is not None:
            click.echo(f"Pixels are not read, headers alone answer. {choice.problem}", err=True)
        work = Work(
            guard,
            Limits.from_environment(),
            release=release,
            mappings=mappings,
            settings=settings,
            model=choice.path,
            threads=1 if processes > 1 else None,
            absent=choice.problem,
            modality=modality,
        )
        shown = _shown(progress, target)
        # The FHIR resources describe the model; several processes have their own.
        needed = processes == 1 or store is not None or form not in _BY_FILE
        annotator = stack.enter_context(work.opened()) if needed else work.reader()
        with watching(paths, shown) as watch:
            run = _Run(paths, form, work, processes, annotator, store, watch)
            if resume and target is not None:
                tally = run.resumed(target, review)
            else:
                tally = run.at_once(target, review)
    if tally.failed or tally.passed_by:
        click.echo(tally.summary(), err=True)
    raise click.exceptions.Exit(FINDINGS if tally.failed else DONE)


class _Run:
    """One run of the command: where files come from, and where answers go."""

    def __init__(
        self,
        paths: tuple[str, ...],
        form: str,
        work: Work,
        processes: int,
        annotator: Annotator,
        store: SqlStore | None,
        watch: Watch,
    ) -> None:
        self._paths = paths
        self._form = form
        self._work = work
        self._processes = processes
        self._annotator = annotator
        self._store = store
        self._watch = watch
        self._tally = Tally()

    def at_once(self, target: Path | None, review: Path | None) -> Tally:
        """Write the whole output, or nothing."""
        from api.annotate_work import walk
        from api.output import open_output, with_review, write_results

        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(open_output(target))
            results = self._results(self._done(walk(self._paths)))
            if review is not None:
                listed = stack.enter_context(open_output(review, "--review"))
                results = with_review(results, listed)
            write_results(results, self._form, stream, self._annotator, self._store)
            self._check_any()
        return self._tally

    def resumed(self, target: Path, review: Path | None) -> Tally:
        """Write the output from a journal, which an interruption leaves."""
        from api.annotate_journal import Journal
        from api.annotate_work import walk
        from api.output import head, open_output, review_head

        with Journal(target, self._asked()) as journal:
            if len(journal):
                click.echo(f"Goes on: {len(journal)} files are in {journal.path}.", err=True)
            order: list[str] = []
            try:
                self._fill(journal, walk(self._paths), order)
            except KeyboardInterrupt:
                click.echo(
                    f"Interrupted after {len(journal)} files; the same command goes on.", err=True
                )
                raise click.exceptions.Exit(130) from None
            with contextlib.ExitStack() as stack:
                stream = stack.enter_context(open_output(target))
                stream.write(head(self._form))
                listed = None
                if review is not None:
                    listed = stack.enter_context(open_output(review, "--review"))
                    listed.write(review_head())
                for entry in journal.entries(order):
                    stream.writelines(entry.lines)
                    if listed is not None:
                        listed.writelines(entry.review)
                    self._tally.annotated += entry.annotated
                    self._tally.failed += entry.failed
                    self._tally.passed_by += entry.passed_by
                self._check_any()
            journal.remove()
        return self._tally

    def _fill(self, journal: Journal, units: Iterator[Unit], order: list[str]) -> None:
        from itertools import islice

        from api.annotate_journal import Entry, state_of
        from api.output import BLOCK_FILES, line, review_lines, storing

        states: dict[Unit, tuple[int, int] | None] = {}

        def open_units() -> Iterator[Unit]:
            for unit in units:
                order.append(unit.path)
                if journal.keeps(unit):
                    self._watch.kept()
                else:
                    # Taken before it is read: what changes meanwhile is read again next time.
                    states[unit] = state_of(unit)
                    yield unit

        graph = self._annotator.terminology.graph
        store_block = None if self._store is None else storing(self._annotator, self._store)
        done = self._done(open_units())
        while block := list(islice(done, BLOCK_FILES if store_block else 1)):
            if store_block is not None:
                store_block([result for one in block for result in one.results])
            for one in block:
                tally = Tally()
                kept = list(tally.count(one.results))
                journal.add(
                    one.unit,
                    # A file that was named twice is done twice.
                    states.pop(one.unit, None) or state_of(one.unit),
                    Entry(
                        tuple(line(each, self._form, graph) for each in kept),
                        tuple(text for each in kept for text in review_lines(each)),
                        tally.annotated,
                        tally.failed,
                        tally.passed_by,
                    ),
                )

    def _done(self, units: Iterator[Unit]) -> Iterator[Done]:
        from api.annotate_pool import annotate_in_processes
        from api.annotate_work import annotate_units

        if self._processes > 1:
            done = annotate_in_processes(units, self._work, self._processes)
        else:
            done = annotate_units(units, self._annotator, self._work.modality)
        for one in done:
            self._watch.done()
            yield one

    def _results(self, done: Iterable[Done]) -> Iterator[Result]:
        for one in done:
            yield from self._tally.count(one.results)

    def _check_any(self) -> None:
        if self._tally.annotated == 0:
            misuse(
                f"PATH: {self._tally.summary()} Expected DICOM files, a folder or zip that holds"
                " some, or PNG, JPEG and TIFF pictures. Nothing was written."
            )

    def _asked(self) -> dict[str, Any]:
        """Return what the output depends on beside the files."""
        from importlib.metadata import version

        from api.annotate_journal import digest_of

        work, fusion = self._work, self._annotator.fusion
        return {
            "version": version("bodysite"),
            "format": self._form,
            "paths": list(self._paths),
            "phi policy": str(work.guard.policy),
            "modality": work.modality,
            "model": digest_of(work.model),
            "mappings": digest_of(work.mappings),
            "settings": digest_of(work.settings),
            "reliability": digest_of(None if fusion is None else fusion.reliability),
            "release": work.release and [str(work.release), work.release.stat().st_mtime_ns],
        }


class Tally:
    """Counts results as they pass, and names the files that failed on stderr."""

    def __init__(self) -> None:
        self.annotated = 0
        self.failed = 0
        self.passed_by = 0

    def count(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield `results` but those that nobody asked for."""
        from api.annotator import Annotated

        for result in results:
            if isinstance(result, Annotated):
                self.annotated += 1
            elif result.passed_by:
                self.passed_by += 1
                continue
            else:
                self.failed += 1
                click.echo(f"Error: {result.error}", err=True)
            yield result

    def summary(self) -> str:
        """Return the counts in words."""
        return (
            f"files annotated: {self.annotated}, failed: {self.failed},"
            f" not DICOM and passed by: {self.passed_by}."
        )


def _guard(phi: str | None, store: SqlStore | None) -> PhiGuard:
    from api.phi import PhiGuard, PhiPolicy

    try:
        policy = PhiPolicy(phi or os.environ.get("BODYSITE_PHI", "hash"))
    except ValueError:
        misuse("BODYSITE_PHI: no such policy; expected keep, hash or drop. Correct it.")
    named = os.environ.get("BODYSITE_PHI_KEY_FILE")
    path = Path(named) if named else None
    if store is not None:
        from api.security.keys import pseudonym_key

        store.bind_policy(policy)
        return PhiGuard(policy, pseudonym_key(path, store))
    if path is not None:
        from api.security.keys import read_key

        return PhiGuard(policy, read_key(path))
    return PhiGuard(policy, os.urandom(_SALT_BYTES))


def _shown(asked: bool | None, target: Path | None) -> bool:
    """Return whether progress is shown: not where results go to the same terminal."""
    if asked is not None:
        return asked
    return sys.stderr.isatty() and (target is not None or not sys.stdout.isatty())


def _check_resume(resume: bool, paths: tuple[str, ...], form: str, target: Path | None) -> None:
    if not resume:
        return
    if target is None or form not in _BY_FILE:
        misuse(
            "--resume goes with --out and --format json or csv, which have lines a file. With"
            " --database, resources that are stored are kept whatever happens."
        )
    if "-" in paths:
        misuse("--resume: '-' cannot be read twice. Name files or folders.")


def _check_outputs(paths: tuple[str, ...], out: Path | None, review: Path | None) -> None:
    """End the command when an output is a file that is to be read, or both are one."""
    sources = [Path(given).resolve() for given in paths]
    for option, output in (("--out", out), ("--review", review)):
        if output is None or not output.is_file():
            continue
        target = output.resolve()
        if any(target == source or source in target.parents for source in sources):
            misuse(
                f"{option}: {output} is one of the files to read. Name another file; nothing was"
                " read."
            )
    if out is not None and review is not None and out.resolve() == review.resolve():
        misuse(f"--review: {review} is the file of --out. Name another file.")
