"""The command `bodysite`: `annotate` and `serve`, and the groups of the other packages.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 some files failed,
2 misuse or nothing usable. Everything heavy is imported inside the commands, so that ``--help``
is instant.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from terminology.console import (
    DONE,
    FINDINGS,
    BodySiteGroup,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)

if TYPE_CHECKING:
    from api.annotator import Annotator, Result
    from api.settings import Settings
    from api.store import SqlStore
    from terminology.library import Terminology

# Name → where it is defined and what `--help` says of it.
_ELSEWHERE: Final = {
    "dataset": (
        "classifier.dataset_cli",
        "dataset",
        "Report what the labels of image collections say, by concept and source.",
    ),
    "evaluate": (
        "classifier.evaluate_cli",
        "evaluate",
        "Score a run or a model: figures with floors and intervals, pictures, one page.",
    ),
    "explain": (
        "classifier.evaluate_cli",
        "explain",
        "Draw where in an image a model sees a label.",
    ),
    "map": ("terminology.map_cli", "map_command", "Map header words or codes to body sites."),
    "mappings": (
        "terminology.mappings_cli",
        "mappings",
        "Check and export the mapping tables; decide about own words.",
    ),
    "predict": (
        "classifier.evaluate_cli",
        "predict",
        "Ask a trained model about images, series and studies.",
    ),
    "scan": ("api.scan_cli", "scan", "Report the header values of an archive, and what is open."),
    "terminology": (
        "terminology.concept_cli",
        "terminology",
        "Build and ask releases: look up, compare, expand, search.",
    ),
    "train": (
        "classifier.train_cli",
        "train",
        "Train a model on image collections, from a preset or a file of settings.",
    ),
    "tune": (
        "classifier.train_cli",
        "tune",
        "Compare optimisers, learning rates and preprocessing by cross-validation.",
    ),
}
_PHI: Final = click.Choice(["keep", "hash", "drop"])
_SALT_BYTES: Final = 32
# 69536005 |Head|: what `serve` shows a search for; some of pydicom's files show one.
_EXAMPLE: Final = "69536005"
# What the extras install, by the name that is imported; `annotate --format json` and csv do
# without any.
_EXTRAS: Final = {
    "api": "fastapi fhir prometheus_client pydantic pydantic_settings sqlalchemy starlette uvicorn",
    "classifier": "cv2 imagehash matplotlib pandas scipy sklearn tensorboard tomli_w torch"
    " torchvision",
}
_IN_BOTH: Final = "PIL"


class _MainGroup(BodySiteGroup):
    """Loads the commands of other packages when they are called."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            extras = [name for name, packages in _EXTRAS.items() if package in packages.split()]
            if package == _IN_BOTH:
                module = _ELSEWHERE.get(ctx.invoked_subcommand or "", ("api",))[0]
                extras = [module.partition(".")[0]]
            if not extras:
                raise
            misuse(
                f"the package '{error.name}' is not installed; expected the extra '{extras[0]}'."
                f" Install it: pip install 'bodysite[{extras[0]}]'."
            )

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = _ELSEWHERE[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        if cmd_name == "mappings" and isinstance(command, click.Group):
            # Its ConceptMap form is FHIR, which the terminology package knows nothing of.
            command.add_command(import_module("api.mappings_export").export)
        return command


@click.group(cls=_MainGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bodysite")
def main() -> None:
    """Give radiology images standard SNOMED CT body sites, and serve them as FHIR.

    For research and data curation; no medical device.
    """


@main.command()
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
@click.option("--phi", type=_PHI, help="What happens to identifiers.  [default: hash]")
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
    phi: str | None,
    database: str | None,
    modality: str | None,
    mappings: Path | None,
    settings: Path | None,
    release: Path | None,
) -> None:
    """Give DICOM files their body sites.

    PATH is a file, a folder (searched through, in sorted order), a zip, or - for stdin. What a
    folder holds beside DICOM is passed by and counted.

    Pseudonyms are made with the secret of the --database; without one they differ from run to run.
    """
    from api.annotator import check_modality
    from api.output import open_output, write_results
    from terminology.library import load_terminology

    check_modality(modality, where="--modality")
    _check_out(out, paths)
    with _quiet_interrupt(), _annotation_store(database) as store:
        annotator = _annotator(phi, store, load_terminology(release, mappings, settings))
        tally = _Tally()
        with open_output(out, form) as stream:
            results = tally.count(_results(annotator, paths, modality))
            write_results(results, form, stream, annotator, store)
            if tally.annotated == 0:
                misuse(
                    f"PATH: {tally.summary()} Expected DICOM files, a folder or zip that holds"
                    " some, or PNG and JPEG pictures named one by one. Nothing was written."
                )
    if tally.failed or tally.passed_by:
        click.echo(tally.summary(), err=True)
    raise click.exceptions.Exit(FINDINGS if tally.failed else DONE)


@main.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.  [default: 8000]")
@click.option(
    "--database",
    metavar="URL",
    help="Where resources live.  [default: sqlite:///bodysite.sqlite, in the current folder]",
)
@click.option("--phi", type=_PHI, help="What happens to identifiers.  [default: hash]")
@click.option(
    "--release",
    "releases",
    multiple=True,
    type=click.Path(path_type=Path),
    help="An index that 'bodysite terminology build' made; the first one is the default edition.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that answer.  [default: 1]")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Bearer tokens that requests must show, one a line. BODYSITE_TOKENS does the same.",
)
@mappings_option
@settings_option
def serve(
    host: str | None,
    port: int | None,
    database: str | None,
    phi: str | None,
    releases: tuple[Path, ...],
    workers: int | None,
    token_file: Path | None,
    mappings: Path | None,
    settings: Path | None,
) -> None:
    """Serve FHIR: $annotate, search by body site, terminology operations.

    Every option can also be set as BODYSITE_HOST, BODYSITE_PORT and so on; BODYSITE_RELEASES is a
    JSON list, or paths set apart as in PATH. An edit of the tables in --mappings is served at once.
    Off loopback, the server starts only with bearer tokens.
    """
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "database": database,
        "phi": phi,
        "workers": workers,
        "releases": releases or None,
        "mappings": mappings,
        "header_settings": settings,
    }
    chosen = _settings({key: value for key, value in given.items() if value is not None})
    if token_file is not None:
        try:
            lines = token_file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            misuse(
                f"--token-file: {token_file} cannot be read as UTF-8 text ({type(error).__name__})."
                " Write one token a line."
            )
        tokens = tuple(line.strip() for line in lines if line.strip() and line[0] != "#")
        chosen = _settings({**chosen.model_dump(), "tokens": tokens})
        if not tokens:
            misuse(f"--token-file: {token_file} holds no token. Write one a line.")
    if not chosen.tokens and not _is_loopback(chosen.host):
        misuse(
            f"--host: '{chosen.host}' can be reached from outside and no bearer token is set;"
            " expected --token-file or BODYSITE_TOKENS. Set one, or listen on 127.0.0.1."
        )
    _run(chosen)


def _run(settings: Settings) -> None:
    import uvicorn

    from api.app import create_app, open_releases, terminology_over
    from api.tx.resources_store import ResourceLibrary

    releases = open_releases(settings.releases)
    if settings.workers == 1 or settings.mappings or settings.header_settings:
        # Each worker loads its own; bad rows or settings end the command here, not a worker.
        terminology = terminology_over(releases, settings)
    with (
        contextlib.closing(_open_store(settings.database)) as store,
        contextlib.closing(ResourceLibrary(settings.database)) as library,
        contextlib.ExitStack() as stack,
    ):
        listeners = [stack.enter_context(one) for one in _listen(settings)]
        common: dict[str, Any] = {
            # Access logs would hold search values, which may be identifiers.
            "log_level": "warning",
            "access_log": False,
            "timeout_graceful_shutdown": 10,
        }
        if settings.workers > 1:
            from api.workers import run_workers

            # Bound here, so that a database of another policy ends the command, not a worker.
            store.bind_policy(settings.phi)
            _announce(settings, listeners[0])
            with _quiet_interrupt():
                run_workers(settings, listeners, common)
            return
        app = create_app(
            settings,
            terminology=terminology,
            store=store,
            releases=releases,
            library=library,
        )
        _announce(settings, listeners[0])
        with _quiet_interrupt():
            uvicorn.Server(uvicorn.Config(app, **common)).run(sockets=listeners)


def _announce(settings: Settings, listener: socket.socket) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listener.getsockname()[1]}"
    click.echo(
        f"Bodysite listens on {address} - open:\n"
        f"  {address}/r4/ImagingStudy?bodysite:below=http://snomed.info/sct|{_EXAMPLE}\n"
        f"  {address}/r4/CodeSystem/$lookup?system=http://snomed.info/sct&code={_EXAMPLE}\n"
        f"  {address}/docs"
    )
    click.echo(f"Resources live in {_shown(settings.database)}. Ctrl-C ends it.", err=True)


def _listen(settings: Settings) -> list[socket.socket]:
    """Return bound sockets, one a worker, so that the address that is printed is what answers."""
    if settings.workers > 1 and settings.port:
        # Sockets that share a port would share it with another server, too.
        _bound(settings.host, settings.port, shared=False).close()
    first = _bound(settings.host, settings.port, shared=settings.workers > 1)
    port = first.getsockname()[1]
    others = [_bound(settings.host, port, shared=True) for _ in range(settings.workers - 1)]
    return [first, *others]


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        misuse(
            f"--host, --port: cannot listen on {host}:{port} ({error.strerror}); expected a free"
            " port of this machine. Choose another one; --port 0 takes any."
        )
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _settings(given: dict[str, Any]) -> Settings:
    from pydantic import ValidationError

    from api.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = "; ".join(
            f"BODYSITE_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}"
            for one in error.errors(include_input=False)
        )
        misuse(f"{wrong}. Correct the option or the environment variable.")


def _open_store(url: str) -> SqlStore:
    import sqlalchemy as sa

    from api.store import SqlStore

    try:
        return SqlStore(url)
    except (sa.exc.SQLAlchemyError, ImportError, OSError) as error:
        misuse(
            f"--database: '{_shown(url)}' cannot be opened ({type(error).__name__}); expected a"
            " SQLAlchemy URL such as sqlite:///bodysite.sqlite. Check the path and its permissions."
        )


def _shown(url: str) -> str:
    """Return a database URL without its password."""
    import sqlalchemy as sa

    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url.partition("?")[0] if "@" not in url else "(no URL)"


def _check_out(out: Path | None, paths: tuple[str, ...]) -> None:
    """End the command when --out names a file that is to be read."""
    if out is None or not out.is_file():
        return
    target = out.resolve()
    for given in paths:
        source = Path(given).resolve()
        if target == source or source in target.parents:
            misuse(
                f"--out: {out} is one of the files to read. Name another file; nothing was read."
            )


@contextlib.contextmanager
def _annotation_store(url: str | None) -> Iterator[SqlStore | None]:
    store = _open_store(url) if url is not None else None
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def _annotator(phi: str | None, store: SqlStore | None, terminology: Terminology) -> Annotator:
    import os

    from api.annotator import Annotator
    from api.limits import Limits
    from api.phi import PhiGuard, PhiPolicy

    try:
        policy = PhiPolicy(phi or os.environ.get("BODYSITE_PHI", "hash"))
    except ValueError:
        misuse("BODYSITE_PHI: no such policy; expected keep, hash or drop. Correct it.")
    if store is not None:
        store.bind_policy(policy)
    salt = store.salt if store is not None else os.urandom(_SALT_BYTES)
    limits = Limits.from_environment()
    return Annotator(terminology, PhiGuard(policy, salt), limits)


def _results(
    annotator: Annotator, paths: tuple[str, ...], modality: str | None
) -> Iterator[Result]:
    """Yield the results, with a running count on stderr when that is a terminal."""
    from api.inputs import from_paths

    results = annotator.annotate_all(from_paths(paths, annotator.limits), modality)
    if not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed} files"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("annotate", total=None)
        for result in results:
            progress.advance(task)
            yield result


class _Tally:
    """Counts results as they pass, and names the files that failed on stderr."""

    def __init__(self) -> None:
        self.annotated = 0
        self.failed = 0
        self.passed_by = 0

    def count(self, results: Iterator[Result]) -> Iterator[Result]:
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


@contextlib.contextmanager
def _quiet_interrupt() -> Iterator[None]:
    """Turn Ctrl-C into exit status 130 without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(130) from None
