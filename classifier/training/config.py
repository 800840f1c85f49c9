"""`TrainConfig`: everything that decides what a training run does, from TOML.

A file may build on a preset, or on another file, with ``base = "default"``: its tables are laid
over those of the base, key by key. A run folder holds the resolved configuration.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import tomli_w

from classifier.data.duplicates import DISTANCE
from classifier.data.labels import Head
from classifier.data.read import KINDS
from classifier.errors import ConfigError
from classifier.models.backbones import BACKBONES
from classifier.models.losses import LossSettings
from classifier.models.network import NetworkSpec
from classifier.preprocess.pipeline import Preprocessing
from classifier.training.augment import Augmentation
from classifier.training.schedule import Schedule
from classifier.training.tables import Range, Reader, plain
from terminology.errors import BodySiteError

PRESETS: Final = Path(__file__).parent / "presets"
_Count = Annotated[int, Range(least=1)]
_CountOrZero = Annotated[int, Range(least=0)]
_Share = Annotated[float, Range(0, 1)]
_Rate = Annotated[float, Range(1e-9, 100)]
# The fields of `Sample` that `where` may choose by.
CHOOSABLE: Final = ("source", "part", "modality", "view", "laterality", "licence")
# Heads whose classes a mirrored picture has not.
DIRECTED: Final = (Head.LATERALITY, Head.IRMA)
OptimizerName = Literal["sgd", "adam", "adamw", "adagrad"]
PreprocessKind = Literal["A", "B", "C", "D"]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set: a reader's name and where the set lies.

    Attributes
    ----------
    kind
        One of `classifier.data.read.KINDS`.
    where
        Only samples whose field has one of these values, as ``modality = ["CR", "DX"]``.
    options
        What the reader takes beside the path.
    """

    kind: str
    path: Path
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_where(self.where)


@dataclass(frozen=True, slots=True)
class DataTable:
    """``[data]``: the sets, and what is taken of all of them.

    Attributes
    ----------
    where
        As of a set, for all sets.
    cache
        Folder of the decoded images; by default `classifier.training.cache.default_folder`.
    most_undecodable
        The share of images that may fail to decode before the run refuses to start.
    """

    sets: tuple[DataSet, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cache: Path | None = None
    most_undecodable: _Share = 0.05

    def __post_init__(self) -> None:
        _check_where(self.where)


def _check_where(where: Mapping[str, object]) -> None:
    for name in where:
        if name not in CHOOSABLE:
            raise ValueError(f"where.{name}: samples are chosen by {', '.join(CHOOSABLE)}")


@dataclass(frozen=True, slots=True)
class LabelTable:
    """``[labels]``: what the model is asked; a class needs so many images, or goes upward."""

    heads: tuple[Head, ...]
    min_images: _Count = 20

    def __post_init__(self) -> None:
        if not self.heads:
            raise ValueError("'heads' is empty")


@dataclass(frozen=True, slots=True)
class AugmentTable:
    """``[augment]``: a policy of `Augmentation`, and what differs from it."""

    policy: str = "default"
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimizerTable:
    """``[optimizer]``: how the weights are moved.

    Attributes
    ----------
    lr
        The base rate, which the schedule multiplies; ``find`` has `classifier.training.lr_finder`
        look for it.
    momentum
        Of SGD; the first beta of Adam and AdamW.
    clip
        The largest norm of the gradient; 0 leaves it as it is.
    """

    name: OptimizerName = "adamw"
    lr: _Rate | Literal["find"] = 1e-3
    weight_decay: _Share = 0.05
    momentum: _Share = 0.9
    clip: Annotated[float, Range(0, 1e6)] = 1.0


@dataclass(frozen=True, slots=True)
class SplitTable:
    """``[split]``: which images train, choose and test.

    Attributes
    ----------
    method
        ``holdout``: by patient, in the shares below; ``parts``: the sets' own division;
        ``folds``: `k` times, each image tested once; ``sources``: each source left out once.
    validation, test
        Shares of the images. With ``parts``, `validation` is taken from the training part where
        the sets name none; with ``folds`` and ``sources`` it is taken from what is not tested.
    least
        With ``sources``, a source of fewer images is never left out.
    train_only
        Sources whose images only ever train, such as simulated ones.
    near_duplicates
        How many bits of 64 two perceptual hashes may differ for images to stay together; -1 does
        not look for near-duplicates.
    """

    method: Literal["holdout", "parts", "folds", "sources"] = "holdout"
    validation: Annotated[float, Range(0.001, 0.9)] = 0.15
    test: Annotated[float, Range(0, 0.9)] = 0.15
    k: Annotated[int, Range(2, 100)] = 5
    least: _Count = 1
    train_only: tuple[str, ...] = ()
    seed: _CountOrZero = 0
    near_duplicates: Annotated[int, Range(-1, 32)] = DISTANCE


@dataclass(frozen=True, slots=True)
class TrainTable:
    """``[train]``: the loop.

    Attributes
    ----------
    batch
        Images of a step, over all processes.
    patience
        Epochs without a smaller validation loss before the run stops; 0 never stops early.
    amp
        Mixed precision: ``auto`` is bf16 on a GPU that has it, fp16 on another, off on a CPU.
    ema
        Decay of the moving average of the weights, which is what is scored and kept; 0 is none.
    detail
        Look-alikes are drawn from images of so many times the sides that the network is fed, so
        that close-ups show more, not larger pixels.
    least_shown
        A look-alike that shows a smaller share of the area of its image keeps of the label only
        what holds for any part of the frame.
    ramp
        Share of the epochs over which the augmentation grows to its full strength.
    mixup
        Alpha of the Beta distribution of the mixing share, for the heads of parts; 0 is none.
    workers
        Threads that prepare batches beside the training; 0 prepares them in between.
    threads
        Threads of torch; 0 leaves it to torch. Other numbers may give other last digits.
    save_seconds
        A state to resume from is saved so often, and at the end of every epoch.
    """

    epochs: _Count = 40
    batch: Annotated[int, Range(least=2)] = 64
    patience: _CountOrZero = 8
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    ema: Annotated[float, Range(0, 0.99999)] = 0.0
    mixup: Annotated[float, Range(0, 10)] = 0.0
    detail: Annotated[float, Range(1, 8)] = 1.0
    least_shown: _Share = 0.0
    ramp: _Share = 0.0
    workers: _CountOrZero = 2
    threads: _CountOrZero = 0
    seed: _CountOrZero = 0
    save_seconds: Annotated[float, Range(least=0)] = 120.0
    tensorboard: bool = False


@dataclass(frozen=True, slots=True)
class TuneTable:
    """``[tune]``: the grid of `bodysite tune`; every combination is trained on every fold.

    Attributes
    ----------
    folds
        Parts of the training images of which each validates once.
    epochs
        Of each training; few are enough to compare.
    keep
        After each fold only this share of the combinations, the best so far, goes on to the next
        (successive halving); 1 keeps all.
    """

    optimizers: tuple[OptimizerName, ...] = ("sgd", "adam", "adamw", "adagrad")
    learning_rates: tuple[_Rate, ...] = (1e-3, 1e-2)
    preprocessing: tuple[PreprocessKind, ...] = ("A", "B", "C", "D")
    folds: Annotated[int, Range(2, 100)] = 5
    epochs: _Count = 10
    keep: Annotated[float, Range(0.05, 1)] = 1.0

    def __post_init__(self) -> None:
        for name in ("optimizers", "learning_rates", "preprocessing"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"'{name}' is empty or names something twice")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training run, decided in full."""

    name: str
    data: DataTable
    labels: LabelTable
    preprocess: Preprocessing
    augment: Augmentation
    network: NetworkSpec
    optimizer: OptimizerTable
    schedule: Schedule
    loss: LossSettings
    split: SplitTable
    train: TrainTable
    tune: TuneTable

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = (), sets: Sequence[DataSet] = ()) -> Self:
        """Return the configuration in the file `path`; see `of`.

        Raises
        ------
        ConfigError
            The file is missing or no TOML, or says what nothing understands.
        """
        return cls._of(_with_base(path, ()), str(path), path.parent.resolve(), changes, sets)

    @classmethod
    def preset(cls, name: str, changes: Sequence[str] = (), sets: Sequence[DataSet] = ()) -> Self:
        """Return the preset `name`; see `of`."""
        path = _preset(name, "--preset")
        return cls._of(_with_base(path, ()), f"preset {name}", Path.cwd(), changes, sets)

    @classmethod
    def _of(
        cls,
        tables: Mapping[str, Any],
        file: str,
        folder: Path,
        changes: Sequence[str],
        sets: Sequence[DataSet],
    ) -> Self:
        """Return the configuration of `tables`.

        Parameters
        ----------
        changes
            ``table.key=value`` each, laid over the tables; a value is TOML, or else text.
        sets
            In place of ``data.sets``, where there are some.
        """
        tables = _laid_over(tables, _changes(changes))
        reader = Reader(file if not changes else f"{file} with --set", folder)
        kinds: dict[str, Any] = {
            "data": DataTable,
            "labels": LabelTable,
            "preprocess": Preprocessing,
            "augment": AugmentTable,
            "network": NetworkSpec,
            "optimizer": OptimizerTable,
            "schedule": Schedule,
            "loss": LossSettings,
            "split": SplitTable,
            "train": TrainTable,
            "tune": TuneTable,
        }
        for key in tables:
            if key not in (*kinds, "name"):
                raise ConfigError(
                    file,
                    f"the table '{key}' is unknown",
                    "one of name, base, " + ", ".join(kinds),
                    "Correct the name.",
                )
        name = tables.get("name", "bodysite")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{file} name", f"'{name}'", "text", "Name the model.")
        read: dict[str, Any] = {}
        for key, kind in kinds.items():
            given = {"channels": read["preprocess"].channels} if key == "network" else {}
            read[key] = reader.table(kind, tables.get(key, {}), key, given)
        read["augment"] = _augmentation(read["augment"], reader)
        if read["network"].weights:
            weights = (folder / Path(read["network"].weights).expanduser()).resolve()
            read["network"] = replace(read["network"], weights=str(weights))
        if sets:
            read["data"] = replace(read["data"], sets=tuple(sets))
        config = cls(name, **read)
        _check_names(config, reader.file)
        _check_sides(config, reader.file)
        return config

    def tables(self) -> dict[str, Any]:
        """Return the configuration as tables of plain values, as `to_toml` writes them."""
        tables: dict[str, Any] = plain(self)
        del tables["network"]["channels"]
        tables["augment"] = {"policy": "none", "changes": tables["augment"]}
        return tables

    def published(self) -> dict[str, Any]:
        """Return `tables` as a model carries them: without the salt of patients' hashes."""
        tables = self.tables()
        for one in tables["data"]["sets"]:
            one["options"].pop("salt", None)
        return tables

    def to_toml(self) -> str:
        """Return the configuration as a file that `read` reads back as it is."""
        return tomli_w.dumps(self.tables())

    def differences(self, other: TrainConfig) -> tuple[str, ...]:
        """Return the keys, as ``table.key``, whose values differ in `other`."""
        mine, theirs = self.tables(), other.tables()
        found = []
        for table in mine:
            if isinstance(mine[table], dict):
                keys = sorted({*mine[table], *theirs[table]})
                found += [
                    f"{table}.{key}"
                    for key in keys
                    if mine[table].get(key) != theirs[table].get(key)
                ]
            elif mine[table] != theirs[table]:
                found.append(table)
        return tuple(found)


def preset_names() -> tuple[str, ...]:
    """Return the names that `TrainConfig.preset` knows, sorted."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def _preset(name: str, where: str) -> Path:
    if name not in preset_names():
        raise ConfigError(
            where,
            f"'{name}' is no preset",
            "one of " + ", ".join(preset_names()),
            "Name one of these, or give a file.",
        )
    return PRESETS / f"{name}.toml"


def _with_base(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """Return the tables of `path`, laid over those of its base."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            str(path), f"it cannot be read ({error.strerror})", "a TOML file", "Check the path."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), str(error), "TOML", "Correct the file.") from None
    base = tables.pop("base", None)
    if base is None:
        return tables
    where = f"{path} base"
    if not isinstance(base, str):
        raise ConfigError(where, f"'{base}'", "a preset or a file", "Name one.")
    below = path.parent / base if base.endswith(".toml") else _preset(base, where)
    if below.resolve() in (*above, path.resolve()):
        raise ConfigError(where, f"'{base}' builds on this file", "another file", "Remove it.")
    return _laid_over(_with_base(below, (*above, path.resolve())), tables)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _changes(changes: Sequence[str]) -> dict[str, Any]:
    """Return the tables that ``table.key=value`` texts describe."""
    tables: dict[str, Any] = {}
    for change in changes:
        key, sign, text = change.partition("=")
        names = [name.strip() for name in key.split(".")]
        if not sign or not all(names):
            raise ConfigError(
                "--set", f"'{change}'", "table.key=value, such as train.epochs=2", "Correct it."
            )
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        for name in reversed(names):
            value = {name: value}
        tables = _laid_over(tables, value)
    return tables


def _augmentation(table: AugmentTable, reader: Reader) -> Augmentation:
    try:
        policy = Augmentation.named(table.policy)
    except BodySiteError as error:
        raise ConfigError(
            f"{reader.file} [augment] policy", error.what, error.expected, error.remedy
        ) from None
    return reader.table(Augmentation, _laid_over(plain(policy), table.changes), "augment.changes")


def _check_names(config: TrainConfig, file: str) -> None:
    """Raise where what is named is not there, before images are decoded for it."""
    named: list[tuple[str, str, tuple[str, ...]]] = [
        ("[network] backbone", config.network.backbone, BACKBONES)
    ]
    named += [("[data] sets", one.kind, tuple(KINDS)) for one in config.data.sets]
    for where, name, known in named:
        if name not in known:
            raise ConfigError(
                f"{file} {where}", f"'{name}'", "one of " + ", ".join(known), "Correct the name."
            )


def _check_sides(config: TrainConfig, file: str) -> None:
    """Raise where the augmentation changes what a head is asked for."""
    heads, augment = config.labels.heads, config.augment
    directed = [head for head in heads if head in DIRECTED]
    if augment.mirrors and directed:
        raise ConfigError(
            f"{file} [augment]",
            f"images are mirrored, and the head '{directed[0]}' tells left from right",
            "no mirroring with the heads " + ", ".join(DIRECTED),
            "Take the policy 'default' or 'cheng-directed', or set flip and dihedral to 0.",
        )
    if augment.stamp and Head.LATERALITY in heads and set(augment.stamp_glyphs) & {"L", "R"}:
        raise ConfigError(
            f"{file} [augment]",
            "letters L and R are stamped on images, and the head 'laterality' reads them",
            "stamps of other letters",
            'Set changes.stamp_glyphs to "X+", or changes.stamp to 0.',
        )
