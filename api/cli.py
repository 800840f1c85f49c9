"""The command `bodysite`: `serve`, and the commands that other modules and packages have.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 some files failed,
2 misuse or nothing usable. Everything heavy is imported inside the commands, so that ``--help``
is instant.
"""

from __future__ import annotations

import contextlib
import socket
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from api.commands import PHI, config_option, opened_store, quiet_interrupt, without_password
from terminology.console import (
    INTERRUPTED,
    BodySiteGroup,
    mappings_option,
    misuse,
    settings_option,
)

if TYPE_CHECKING:
    from api.operations.configuration import Configuration
    from api.settings import Settings
    from api.store import SqlStore

# Name → where it is defined and what `--help` says of it.
_ELSEWHERE: Final = {
    "annotate": (
        "api.annotate_cli",
        "annotate",
        "Give radiology images their body sites, by header and pixels.",
    ),
    "config": (
        "api.operations.config_cli",
        "config",
        "Show the settings of the service, and who set each of them.",
    ),
    "database": (
        "api.database_cli",
        "database",
        "Look after the database: what is in it, upgrade, index again, check, copy.",
    ),
    "closeups": (
        "classifier.closeups_cli",
        "closeups",
        "Cut close-ups with exact labels out of radiographs, around landmarks.",
    ),
    "dataset": (
        "classifier.dataset_cli",
        "dataset",
        "Report what the labels of image collections say, by concept and source.",
    ),
    "documents": (
        "api.search_documents.cli",
        "documents",
        "Write studies as documents of a search engine: Elasticsearch, OpenSearch.",
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
    "review": (
        "api.review.cli",
        "review",
        "List what a person should look at; confirm, correct, take the verdicts out as rows.",
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
    "api": "alembic fastapi fhir jwt prometheus_client pydantic pydantic_settings requests"
    " sqlalchemy starlette uvicorn",
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
    help="Bearer tokens that requests must show, one a line: TOKEN, NAME:TOKEN[:SCOPES] or"
    " NAME:sha256:HEX[:SCOPES]. It is read again when it changes.",
)
@mappings_option
@settings_option
@config_option
@click.option("--log-format", type=click.Choice(["text", "json"]), help="  [default: text]")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Of the lines on stderr.  [default: info]",
)
@click.option("--check", is_flag=True, help="Show the settings, see that they fit, and end.")
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
    config: Path | None,
    log_format: str | None,
    log_level: str | None,
    check: bool,
) -> None:
    """Serve FHIR: $annotate, search by body site, terminology operations.

    Every option can also be set as BODYSITE_HOST, BODYSITE_PORT and so on, or in a TOML file;
    options win over the environment, and that over the file. BODYSITE_RELEASES is a JSON list, or
    paths set apart as in PATH. An edit of the tables in --mappings is served at once.
    Off loopback, the server starts only with bearer tokens or an OpenID provider.
    """
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "database": database,
        "phi": phi,
        "workers": workers,
        "releases": releases or None,
        "model": model,
        "mappings": _unless_environment("mappings", mappings),
        "header_settings": _unless_environment("settings", settings),
        "log_format": log_format,
        "log_level": log_level,
    }
    if token_file is not None:
        given["token_file"] = token_file
    from api.operations.configuration import load_configuration

    configuration = load_configuration(
        {key: value for key, value in given.items() if value is not None}, config
    )
    chosen = configuration.settings
    from api.security.setup import check_security, is_guarded

    if not is_guarded(chosen) and not _is_loopback(chosen.host):
        misuse(
            f"--host: '{chosen.host}' can be reached from outside and no bearer token is set;"
            " expected --token-file, BODYSITE_TOKENS or BODYSITE_OIDC_ISSUER. Set one, or listen on"
            " 127.0.0.1."
        )
    check_security(chosen)
    if check:
        _check(configuration)
        return
    from api.operations.logs import configure_logging

    configure_logging(chosen.log_format, chosen.log_level)
    configuration.log()
    _run(chosen)


def _unless_environment(name: str, value: Path | None) -> Path | None:
    """Return an option that click did not take from the environment, which is read later on."""
    source = click.get_current_context().get_parameter_source(name)
    return None if source is click.core.ParameterSource.ENVIRONMENT else value


def _check(configuration: Configuration) -> None:
    """Print the settings, and open what they name but for the database, which is left alone."""
    from api.app import open_releases, terminology_over
    from api.model.loading import check_model

    for line in configuration.lines():
        click.echo(line)
    settings = configuration.settings
    terminology_over(open_releases(settings.releases), settings)
    check_model(settings)
    click.echo("The settings fit. The database was not opened.", err=True)


def _run(settings: Settings) -> None:
    from api.app import create_app, open_releases, terminology_over
    from api.model.loading import check_model, open_model
    from api.operations.serving import run
    from api.operations.systemd import Notifier
    from api.tx.resources_store import ResourceLibrary

    notifier = Notifier.of()
    releases = open_releases(settings.releases)
    if settings.workers == 1 or settings.mappings or settings.header_settings:
        # Each worker loads its own; bad rows or settings end the command here, not a worker.
        terminology = terminology_over(releases, settings)
    with (
        contextlib.closing(opened_store(settings.database)) as store,
        contextlib.closing(ResourceLibrary(settings.database)) as library,
        contextlib.ExitStack() as stack,
    ):
        _refuse_unless_indexed(store, settings)
        listeners = [stack.enter_context(one) for one in _listen(settings)]
        if settings.workers > 1:
            from api.workers import run_workers

            # Bound here, so that a database of another policy ends the command, not a worker.
            store.bind_policy(settings.phi)
            check_model(settings)
            _announce(settings, listeners[0])
            # Each of the others opens its own; this one only looks after them.
            store.close()
            with quiet_interrupt():
                _end(run_workers(settings, listeners, notifier))
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
            _end(run(app, settings, listeners, notifier=notifier))


def _refuse_unless_indexed(store: SqlStore, settings: Settings) -> None:
    """End the command where searches would miss what an earlier release had stored."""
    from api.store.reindexing import is_indexed

    if not is_indexed(store):
        misuse(
            "--database: an earlier release stored what it holds, and searches would miss some of"
            " it. Run once: bodysite database reindex --database"
            f" '{without_password(settings.database)}'"
        )


def _end(status: int) -> None:
    """End the command with the status that a server left."""
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise click.exceptions.Exit(status)


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
    from api.security.hardening import is_loopback

    if host != "localhost":
        return is_loopback(host)
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET)
    except OSError:
        return False
    # Whatever a file of hosts makes of the name.
    return all(is_loopback(str(address[0])) for *_, address in found)
