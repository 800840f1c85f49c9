"""Every command, configuration and snippet of docs/*.md runs; tables say what the code says.

The pages are run in one folder with small drawn sets, laid out and called as the pages have them.
Trainings get settings that make them small.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import MISSING, fields
from inspect import signature
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner, Result
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from api.cli import main
from classifier.data import dicom_folder, image_folder, imageclef, manifest, roco, unifesp
from classifier.data.labels import Head
from classifier.data.read import KINDS, read_collection
from classifier.evaluation.metrics import LOWER_IS_BETTER
from classifier.models.backbones import BACKBONES
from classifier.models.losses import LossSettings
from classifier.models.network import NetworkSpec
from classifier.pixels.decoding import _plugins
from classifier.preprocess.cartex import CartexSettings
from classifier.preprocess.pipeline import Preprocessing
from classifier.training.augment import POLICIES, Augmentation
from classifier.training.config import (
    AugmentTable,
    DataSet,
    DataTable,
    LabelTable,
    OptimizerTable,
    SplitTable,
    TrainConfig,
    TrainTable,
    TuneTable,
    preset_names,
)
from classifier.training.schedule import Schedule
from classifier.training.tables import plain
from terminology.library import Terminology, load_terminology
from tests.classifier import tinysets

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/*.md"))}
LINKING = {f"docs/{name}": text for name, text in PAGES.items()} | {
    name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md")
}
CLASSIFIER, IMAGES = PAGES["classifier.md"], PAGES["images.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
SETS = {
    "roco": tinysets.roco,
    "rocov2": tinysets.rocov2,
    "imageclef2009": tinysets.imageclef2009,
    "imageclef2007": tinysets.imageclef2007,
    "unifesp": tinysets.unifesp,
    "images": tinysets.manifest,
    "archive": tinysets.dicom_folder,
    "folders": tinysets.image_folder,
}
READERS = {
    "roco": roco,
    "imageclef": imageclef,
    "unifesp": unifesp,
    "manifest": manifest,
    "dicom": dicom_folder,
    "folder": image_folder,
}
TABLES = {
    "data": DataTable,
    "[data.sets]": DataSet,
    "labels": LabelTable,
    "preprocess": Preprocessing,
    "augment": AugmentTable,
    "augment.changes": Augmentation,
    "network": NetworkSpec,
    "optimizer": OptimizerTable,
    "schedule": Schedule,
    "loss": LossSettings,
    "split": SplitTable,
    "train": TrainTable,
    "tune": TuneTable,
}
SMALL = (
    "preprocess.size=32",
    "network.backbone=resnet10",
    "network.width=8",
    "labels.min_images=2",
    "split.near_duplicates=-1",
    "train.epochs=1",
    "train.batch=8",
    "train.threads=1",
    "train.workers=0",
    "data.cache=cache",
)
SMALL_GRID = (
    "tune.learning_rates=[0.01]",
    'tune.preprocessing=["A"]',
    "tune.epochs=1",
)


def blocks(page: str, *kinds: str) -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in BLOCK.findall(PAGES[page]) if kind in kinds]


def sections(text: str) -> dict[str, str]:
    """Return what stands below each heading, up to the next one."""
    _, *parts = HEADING.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """Return the cells of all rows of the tables in `text`, without the lines below headers."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cut = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    return [cells for cells in cut if not set(cells[0]) <= set("-: ")]


def documented(text: str) -> dict[str, str]:
    """Return the defaults of a table of keys as they are written."""
    found = {}
    for first, second, *_ in rows(text):
        if re.fullmatch(r"`\w+`", first):
            found[first.strip("`")] = second.strip("`")
    return found


def commands(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def console(text: str) -> list[tuple[str, str]]:
    """Return commands with the output shown below each."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        else:
            command, output = found[-1]
            found[-1] = (command, f"{output}{line}\n")
    return found


def small(words: list[str]) -> list[str]:
    """Return the words of a command with what makes it small."""
    if words[0] == "evaluate":
        return [*words, "--draws", "100", "--worst", "1"]
    if words[0] not in {"train", "tune"} or "--resume" in words:
        return words
    changes = SMALL if words[0] == "train" else (*SMALL, *SMALL_GRID)
    return [*words, "--device", "cpu", *(word for one in changes for word in ("--set", one))]


def bodysite(command: str) -> Result:
    name, *words = shlex.split(command)
    assert name == "bodysite", command
    result = CliRunner().invoke(main, small(words))
    assert result.exit_code == 0, f"{command}\n{result.output}"
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the pages are run in."""
    folder = tmp_path_factory.mktemp("docs")
    for name, make in SETS.items():
        (folder / name).mkdir()
        make(folder / name, 36)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def done(place: Path) -> dict[str, str]:
    """Run classifier.md from top to bottom; return what each command printed."""
    printed: dict[str, str] = {}
    for kind, text in blocks("classifier.md", "toml", "sh", "console"):
        if kind == "toml":
            _written(text)
        elif kind == "console":
            for command, shown in console(text):
                first, *rest = command.split(" | ")
                output = bodysite(first).stdout
                if rest:
                    output = _piped(" | ".join(rest), output)
                assert _lines(output) == _lines(shown), command
        else:
            for command in commands(text):
                if not command.startswith("torchrun "):
                    printed[command] = bodysite(command).stdout
    return printed


def _written(text: str) -> Path:
    name = re.match(r"# (\S+\.toml)\n", text)
    assert name is not None, text
    Path(name[1]).write_text(text, encoding="utf-8")
    return Path(name[1])


def _piped(command: str, text: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_commands_run_and_print_what_is_shown(done: Mapping[str, str]) -> None:
    assert len(done) > 12
    told = {command: json.loads(out) for command, out in done.items() if "--json" in command}
    (answer,) = [one for command, one in told.items() if command.startswith("bodysite predict")]
    ((_, shown),) = blocks("classifier.md", "json")
    example = json.loads(shown)
    assert example.keys() == answer.keys()
    for key in ("examined", "visible"):
        assert answer[key]
        assert example[key][0].keys() == answer[key][0].keys()


def test_the_snippets_run_in_order(done: Mapping[str, str]) -> None:
    said = io.StringIO()
    with redirect_stdout(said):
        for page in PAGES:
            names: dict[str, Any] = {}
            for _, source in blocks(page, "python"):
                exec(compile(source, page, "exec"), names)  # noqa: S102
            if page == "classifier.md":
                _check_classifier(names)
            elif page == "images.md":
                _check_images(names)
    shown = re.search(r"# (image: the file is .*?\.) \.\.\.$", IMAGES, re.MULTILINE)
    assert shown is not None
    assert said.getvalue().startswith(shown[1])


def _check_classifier(names: Mapping[str, Any]) -> None:
    assert names["answer"].examined[0].code in names["model"].space.columns(Head.EXAMINED)
    assert names["predictor"].probabilities(names["grey"])[Head.EXAMINED].sum() == pytest.approx(1)
    assert names["both"](names["grey"]).shape == (3, 224, 224)
    accuracy = names["figures"]["heads"]["examined"]["scores"]["accuracy"]
    assert {"value", "low", "high", "floors"} <= accuracy.keys()


def _check_images(names: Mapping[str, Any]) -> None:
    assert (names["fitted"] == names["fitted"].clip(0, 255)).all()
    whole = names["cartoon"] + names["texture"]
    assert (whole == names["hat"](names["fitted"])).all()


def test_the_run_folders_hold_what_is_listed(done: Mapping[str, str], place: Path) -> None:
    listed = _listed(sections(CLASSIFIER)["The run folder"])
    at_times = {"lr-finder.csv", "lr-finder.png", "tensorboard", "fold-1", "scores.npz"}
    assert _names(place / "runs/first") - {"report"} == listed - at_times
    assert "tensorboard" in _names(place / "runs/own")
    assert {"fold-1", "scores.npz"} <= _names(place / "runs/folds") <= listed | {"fold-2"}
    report = {
        re.sub(r"confusion-\w+", "confusion-*", one) for one in _names(place / "runs/first/report")
    }
    assert report == _listed(sections(CLASSIFIER)["4. Evaluation"])
    grid = _names(place / "runs/grid")
    for name in ("tuning.csv", "tuning.json", "winner.toml", "folds.csv", "cells"):
        assert name in grid
        assert f"`{name}" in sections(CLASSIFIER)["Tune"]


def _names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def _listed(text: str) -> set[str]:
    return {
        name.rstrip("/")
        for first, *_ in rows(text)
        for name in re.findall(r"`([\w.*/-]+)`", first)
        if name not in {"view", "irma"}
    }


def test_the_layouts_are_those_of_the_sets(place: Path) -> None:
    patterns = [
        line.split()[0] for _, text in blocks("classifier.md", "text") for line in commands(text)
    ]
    assert {pattern.split("/")[0] for pattern in patterns} == SETS.keys() - {"images"}
    for pattern in patterns:
        assert list(place.glob(pattern)), pattern


def test_the_manifest_of_the_example_is_read(place: Path, terminology: Terminology) -> None:
    ((_, text),) = blocks("classifier.md", "csv")
    path = place / "images" / "example.csv"
    path.write_text(text, encoding="utf-8")
    found = read_collection("manifest", path, terminology)
    assert not found.left_out
    first, second, third = found.samples
    assert (first.examined, len(first.visible), first.part) == ("85562004", 2, "train")
    assert (second.absent, second.age_years) == (("816092008",), 45.0)
    assert third.coarse
    named = " ".join(first for first, *_ in rows(sections(CLASSIFIER)["`manifest`"]))
    for column in text.splitlines()[0].split(","):
        assert f"`{column}`" in named


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load_terminology()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_options_of_a_reader_are_listed_with_their_defaults(kind: str) -> None:
    parameters = {
        name: one.default
        for name, one in signature(READERS[kind].read).parameters.items()
        if one.kind is one.KEYWORD_ONLY and name != "progress"
    }
    after_columns = sections(CLASSIFIER)[f"`{kind}`"].partition("| option |")[2]
    assert _values(documented(after_columns)) == {
        name: plain(value) for name, value in parameters.items()
    }


def _values(written: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: None if text == "none" else text if text == "required" else _toml(text)
        for name, text in written.items()
    }


def _toml(text: str) -> Any:
    return tomllib.loads(f"value = {text}")["value"]


@pytest.mark.parametrize("table", TABLES)
def test_the_keys_of_a_configuration_are_listed_with_their_defaults(table: str) -> None:
    kind = TABLES[table]
    expected: dict[str, Any] = {}
    for one in fields(kind):
        if one.default is not MISSING:
            expected[one.name] = plain(one.default)
        elif one.default_factory is not MISSING:
            made = plain(one.default_factory())
            # Its keys have a table of their own.
            expected[one.name] = {} if isinstance(made, dict) else made
        else:
            expected[one.name] = "required"
    if kind is NetworkSpec:
        # The preprocessing decides on it.
        del expected["channels"]
    written = _values(documented(sections(CLASSIFIER)[f"`[{table}]`"]))
    assert written == expected


def test_all_tables_of_a_configuration_are_listed() -> None:
    known = {one.name for one in fields(TrainConfig)} - {"name"}
    found = {name[2:-2] for name in sections(CLASSIFIER) if name.startswith("`[")}
    assert found == TABLES.keys()
    assert known == {name for name in found if name in known}
    assert 'default `"bodysite"`' in CLASSIFIER


def test_the_parameters_of_cartoon_and_texture_are_listed() -> None:
    written = _values(documented(sections(IMAGES)["4. Preprocessing A to D"]))
    assert written == {one.name: one.default for one in fields(CartexSettings)}


def test_the_presets_are_what_the_table_says() -> None:
    header, *lines = rows(sections(CLASSIFIER)["Presets"].partition("\n\nA preset is")[0])
    names = [cell.strip("`") for cell in header[1:]]
    assert sorted(names) == list(preset_names())
    for column, name in enumerate(names, 1):
        config = TrainConfig.preset(name)
        tables = config.tables()
        for line in lines:
            key, said = line[0].strip("`"), line[column]
            if key == "augment.policy":
                assert config.augment == Augmentation.named(said), name
                continue
            table, _, entry = key.partition(".")
            value = tables[table].get(entry, "none")
            shown = ", ".join(value) if isinstance(value, list) else str(value)
            assert shown == said, f"{name} {key}"
    compared = rows(sections(CLASSIFIER)["Presets"].partition("\n\nA preset is")[2])
    assert {cells[0].strip("`") for cells in compared[1:]} == set(names)


def test_names_that_may_be_chosen_are_all_listed() -> None:
    parts = sections(CLASSIFIER)
    for heading, names in {
        "`[network]`": BACKBONES,
        "`[augment]`": tuple(POLICIES),
        "2. The label space": tuple(Head),
        "What silence means": tuple(KINDS),
    }.items():
        for name in names:
            assert f"`{name}`" in parts[heading], name


@pytest.mark.parametrize("page", PAGES)
def test_configurations_are_understood(page: str, place: Path) -> None:
    for _, text in blocks(page, "toml"):
        config = TrainConfig.read(_written(text))
        for one in config.data.sets:
            known = signature(READERS[one.kind].read).parameters
            assert one.options.keys() <= known.keys()


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page: str) -> None:
    """Those in blocks, those of torchrun, and those in running text."""
    shown = re.findall(r"^(?:\$ )?((?:bodysite|torchrun) .*)$", PAGES[page], re.MULTILINE)
    shown += re.findall(r"`(bodysite [a-z][^`]*)`", PAGES[page].replace("\n", " "))
    for command in shown:
        words = shlex.split(command.split(" | ")[0], comments=False)
        if words[0] == "torchrun":
            words = words[words.index("classifier.train_cli") :]
        name = words[1]
        known = _options(name)
        for word in words[2:]:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, command
    every = set().union(*map(_options, main.list_commands(click.Context(main))))
    every |= {"--nproc-per-node", "--logdir", "--help"}
    for option in re.findall(r"`(--[a-z][a-z0-9-]*)", PAGES[page]):
        assert option in every, option


@pytest.mark.parametrize("page", sorted(LINKING))
def test_links_lead_to_files_and_headings(page: str) -> None:
    path = ROOT / page
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", LINKING[page]):
        linked = path if not target else path.parent / target
        assert linked.exists(), target
        if anchor:
            found = {
                re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-")
                for one in HEADING.findall(linked.read_text(encoding="utf-8"))
            }
            assert anchor in found, f"{target}#{anchor}"


def test_every_page_is_linked_from_the_readme() -> None:
    for name in PAGES:
        assert f"](docs/{name})" in LINKING["README.md"], name


def _options(command: str) -> set[str]:
    found = main.get_command(click.Context(main), command)
    assert found is not None, command
    members = found.commands.values() if isinstance(found, click.Group) else [found]
    return {
        word
        for member in members
        for one in member.params
        if isinstance(one, click.Option)
        for word in one.opts
    }


def test_syntaxes_are_decoded_by_what_is_named() -> None:
    lines = rows(sections(IMAGES)["1. What is read"])[1:]
    seen = set()
    for _, uids, plugin, *_ in lines:
        for uid in uids.split(", "):
            seen.add(uid)
            decoder = get_decoder(UID(uid))
            assert decoder.is_available, uid
            assert (_plugins(decoder) or [""])[0] == plugin, uid
    assert len(seen) == 16


def test_limits_are_those_of_the_code() -> None:
    from classifier.pixels.limits import PixelLimits

    limits = PixelLimits()
    assert (limits.pixels, limits.frames, limits.file_bytes) == (1 << 26, 1 << 16, 1 << 31)
    assert "2^26 pixels a frame, 2^16 frames, 2^31 bytes a file" in IMAGES


def test_figures_of_which_less_is_better_are_named() -> None:
    (sentence,) = re.findall(r"Better is more, but for (.*?)\.\n", PAGES["metrics.md"], re.DOTALL)
    named = set(re.findall(r"`(\w+)…?`", sentence))
    # `irma_error…` stands for three.
    assert named == {name for name in LOWER_IS_BETTER if not name.startswith("irma_error_")}
