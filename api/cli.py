"""The command `bodysite`: `serve`, and the commands that other modules and packages have.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 some files failed,
2 misuse or nothing usable. Everything heavy is imported inside the commands, so that ``--help``
is instant.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from api.commands import PHI, opened_store, quiet_interrupt, without_password
from terminology.console import BodySiteGroup, mappings_option, misuse, settings_option

if TYPE_CHECKING:
    from api.settings import Settings

# Name → where it is defined and what `--help` says of it.
_ELSEWHERE: Final = {
    "annotate": (
        "api.annotate_cli",
        "annotate",
        "Give radiology images their body sites, by header and pixels.",
    ),
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
        "classifier.explain_cli",
        "explain",
        "Draw where in an image a model sees a label.",
    ),
    "export": (
        "classifier.export_cli",
        "export",
        "Make a trained model one file that is served without torch.",
    ),
    "map": ("terminology.map_cli", "map_command", "Map header words or codes to body sites."),
    "mappings": (
        "terminology.mappings_cli",
        "mappings",
        "Check and export the mapping tables; decide about own words.",
    ),
    "model": ("classifier.export_cli", "model", "Show what a model is: classes, figures, sources."),
    "predict": (
        "classifier.evaluate_cli",
        "predict",
        "Ask a trained model about images, series and studies.",
    ),
    "reliability": (
        "classifier.reliability_cli",
        "reliability",
        "Count how far the headers of a site can be trusted.",
    ),
    "scan": ("api.scan_cli", "scan", "Report the header values of an archive, and what is open."),
    "simulate": (
        "classifier.simulate_cli",
        "simulate",
        "Make radiographs with exact labels from a CT volume or a phantom.",
    ),
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
# 69536005 |Head|: what `serve` shows a search for; some of pydicom's files show one.
_EXAMPLE: Final = "69536005"
# What the extras install, by the name that is imported, the smallest extra first; headers are read
# without any.
_EXTRAS: Final = {
    "pixels": "PIL cv2 gdcm onnxruntime pylibjpeg",
    "api": "fastapi fhir prometheus_client pydantic pydantic_settings sqlalchemy starlette uvicorn",
    "simulate": "nibabel",
    "classifier": "imagehash matplotlib pandas scipy sklearn tensorboard tomli_w torch torchvision",
}
# Commands that need all of the extra `classifier`, which holds `pixels`.
_TRAINING: Final = frozenset({"dataset", "evaluate", "export", "train", "tune"})


class _MainGroup(BodySiteGroup):
    """Loads the commands of other packages when they are called."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            extra = next((name for name, held in _EXTRAS.items() if package in held.split()), None)
            if extra is None:
                raise
            if extra == "pixels" and ctx.invoked_subcommand in _TRAINING:
                extra = "classifier"
            misuse(
                f"the package '{error.name}' is not installed; expected the extra '{extra}'."
                f" Install it: pip install 'bodysite[{extra}]'."
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
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.  [default: 8000]")
@click.option(
    "--database",
    metavar="URL",
    help="Where resources live.  [default: sqlite:///bodysite.sqlite, in the current folder]",
)
@click.option("--phi", type=PHI, help="What happens to identifiers.  [default: hash]")
@click.option(
    "--release",
    "releases",
    multiple=True,
    type=click.Path(path_type=Path),
    help="An index that 'bodysite terminology build' made; the first one is the default edition.",
)
@click.option(
    "--model",
    metavar="FILE|none",
    help="The model that reads the pixels, a .bodysite file; 'none' reads headers only."
    "  [default: the model that is shipped]",
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
    model: str | None,
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
        "model": model,
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
    from api.model.loading import check_model, open_model
    from api.tx.resources_store import ResourceLibrary

    releases = open_releases(settings.releases)
    if settings.workers == 1 or settings.mappings or settings.header_settings:
        # Each worker loads its own; bad rows or settings end the command here, not a worker.
        terminology = terminology_over(releases, settings)
    with (
        contextlib.closing(opened_store(settings.database)) as store,
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
            check_model(settings)
            _announce(settings, listeners[0])
            with quiet_interrupt():
                run_workers(settings, listeners, common)
            return
        model = stack.enter_context(open_model(settings, terminology.latest.graph))
        if model.problem is not None:
            click.echo(f"Pixels are not read, headers alone answer. {model.problem}", err=True)
        app = create_app(
            settings,
            terminology=terminology,
            predictor=model.predictor,
            absent=model.problem,
            store=store,
            releases=releases,
            library=library,
        )
        _announce(settings, listeners[0])
        with quiet_interrupt():
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
    click.echo(
        f"Resources live in {without_password(settings.database)}. Ctrl-C ends it.", err=True
    )


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
