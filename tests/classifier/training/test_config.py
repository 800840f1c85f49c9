from pathlib import Path

import pytest

from classifier.data.labels import Head
from classifier.errors import ConfigError
from classifier.training.augment import Augmentation
from classifier.training.config import DataSet, TrainConfig, preset_names


@pytest.mark.parametrize("preset", preset_names())
def test_resolved_configuration_reads_back_as_it_is(preset: str, tmp_path: Path) -> None:
    config = TrainConfig.preset(preset, (), (DataSet("roco", tmp_path, {"part": ("train",)}),))
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    again = TrainConfig.read(path)
    assert again == config
    assert again.differences(config) == ()


# What Cheng et al., the DICOM Imaging Router and the UKSH study write of their experiments.
@pytest.mark.parametrize(
    ("preset", "heads", "size", "kind", "backbone", "epochs", "batch", "patience"),
    [
        ("cheng-roco", (Head.MODALITY,), 224, "D", "resnet50", 50, 64, 8),
        ("cheng-irma", (Head.IRMA,), 224, "D", "resnet50", 50, 64, 8),
        ("cheng-snomed", (Head.VISIBLE,), 224, "D", "resnet50", 50, 64, 8),
        ("router", (Head.ROUTER,), 512, "A", "mobilenet_v2", 100, 32, 0),
        ("uksh", (Head.EXAMINED, Head.VISIBLE), 128, "A", "resnet18", 40, 64, 0),
        (
            "default",
            (Head.EXAMINED, Head.VISIBLE, Head.VIEW, Head.MODALITY),
            128,
            "A",
            "resnet18",
            40,
            64,
            0,
        ),
    ],
)
def test_presets_are_the_published_experiments(
    preset: str,
    heads: tuple[Head, ...],
    size: int,
    kind: str,
    backbone: str,
    epochs: int,
    batch: int,
    patience: int,
) -> None:
    config = TrainConfig.preset(preset)
    assert config.labels.heads == heads
    assert (config.preprocess.size, config.preprocess.kind) == (size, kind)
    assert config.network.backbone == backbone
    table = config.train
    assert (table.epochs, table.batch, table.patience) == (epochs, batch, patience)


def test_router_and_cheng_schedules() -> None:
    router = TrainConfig.preset("router")
    assert (router.optimizer.name, router.optimizer.lr) == ("adam", 1e-4)
    assert router.schedule.name == "warm-restarts"
    cheng = TrainConfig.preset("cheng-roco")
    assert (cheng.optimizer.lr, cheng.schedule.name) == ("find", "one-cycle")
    assert cheng.augment == Augmentation.named("cheng")
    assert not TrainConfig.preset("cheng-irma").augment.mirrors


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ("train.epoch=2", "[train]", "the key 'epoch' is unknown.*Did you mean 'epochs'"),
        ("trian.epochs=2", "preset default", "the table 'trian' is unknown"),
        ("train.epochs=0", "[train] epochs", "'0'; expected at least 1"),
        ("train.epochs=2.5", "[train] epochs", "'2.5'; expected a whole number"),
        ("train.epochs=true", "[train] epochs", "'true'; expected a whole number"),
        ("train.batch=1", "[train] batch", "'1'; expected at least 2"),
        ("train.amp=half", "[train] amp", "'half'; expected one of auto, off, bf16, fp16"),
        ("train.tensorboard=1", "[train] tensorboard", "'1'; expected true or false"),
        ('labels.heads=["hand"]', "[labels] heads", "expected one of examined, visible"),
        ("labels.heads=[]", "[labels]", "'heads' is empty"),
        ("labels.heads=examined", "[labels] heads", "'examined'; expected a list"),
        ("preprocess.kind=E", "[preprocess] kind", "'E'; expected one of A, B, C, D"),
        ("preprocess.kind=C", "[preprocess]", "'1' was given; expected 3 for preprocessing C"),
        ("network.channels=3", "[network]", "the key 'channels' is unknown"),
        ("network.backbone=resnet19", "[network] backbone", "'resnet19'; expected one of resnet10"),
        ("optimizer.lr=fast", "[optimizer] lr", "'fast'; expected a number or one of find"),
        ("optimizer.name=lion", "[optimizer] name", "expected one of sgd, adam, adamw, adagrad"),
        ("loss.label_smoothing=1.5", "[loss]", "'1.5'; expected a share in"),
        ("augment.policy=wild", "[augment] policy", "no policy is called 'wild'"),
        ("augment.changes.flips=1", "[augment.changes]", "'flips' is unknown"),
        ("augment.changes.zoom=[1.0]", "[augment.changes] zoom", "expected a list of 2"),
        ("split.method=random", "[split] method", "expected one of holdout, parts, folds"),
        ('data.sets=[{kind="roco"}]', "[data.sets[0]]", "no 'path'"),
        ('data.sets=[{kind="mnist", path="x"}]', "[data] sets", "'mnist'; expected one of roco"),
        ('data.where={colour=["red"]}', "[data]", "where.colour: samples are chosen by source"),
        ("tune.optimizers=[]", "[tune]", "'optimizers' is empty"),
        ("preprocess={mean=[0.5], std=[0.0]}", "[preprocess]", "expected values above 0"),
        ("name=''", "name", "''; expected text"),
        ("train=3", "[train]", "'3'; expected a table"),
        ("epochs", "--set", "'epochs'; expected table.key=value"),
    ],
)
def test_refusal_names_place_value_and_remedy(change: str, where: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        TrainConfig.preset("default", (change,))
    assert caught.value.where.endswith(where)


def test_letters_are_not_stamped_where_they_are_read() -> None:
    heads = 'labels.heads=["laterality"]'
    with pytest.raises(ConfigError, match="letters L and R are stamped"):
        TrainConfig.preset("default", (heads,))
    config = TrainConfig.preset("default", (heads, "augment.changes.stamp_glyphs='X+'"))
    assert config.labels.heads == (Head.LATERALITY,)


def test_file_builds_on_a_preset_and_on_a_file(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        'base = "default"\n[train]\nepochs = 7\n[data]\n'
        'sets = [{kind = "manifest", path = "own/manifest.csv"}]\n',
        encoding="utf-8",
    )
    (tmp_path / "mine.toml").write_text(
        'base = "site.toml"\nname = "mine"\n[train]\nbatch = 16\n', encoding="utf-8"
    )
    config = TrainConfig.read(tmp_path / "mine.toml", ("train.seed=3",))
    assert (config.name, config.train.epochs, config.train.batch) == ("mine", 7, 16)
    assert (config.train.seed, config.train.ema) == (3, 0.999)
    assert config.data.sets[0].path == tmp_path / "own" / "manifest.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('base = "nothing"', "'nothing' is no preset; expected one of cheng-irma"),
        ('base = "own.toml"', "'own.toml' builds on this file"),
        ("base = 3", "'3'; expected a preset or a file"),
        ("a = = 1", "expected TOML"),
        ("[labels]\nmin_images = 2", "no 'heads'"),
    ],
)
def test_file_that_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        TrainConfig.read(path)
    assert str(path) in caught.value.where


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: it cannot be read \(No such file"):
        TrainConfig.read(tmp_path / "none.toml")


def test_differences_are_named_by_key() -> None:
    config = TrainConfig.preset("default")
    other = TrainConfig.preset("default", ("train.epochs=3", "network.dropout=0.1", "name=x"))
    assert config.differences(other) == ("name", "network.dropout", "train.epochs")


def test_a_model_does_not_carry_the_salt_of_patients() -> None:
    sets = 'data.sets=[{kind="dicom", path="archive", options={salt="secret", frames=2}}]'
    config = TrainConfig.preset("default", (sets,))
    assert config.tables()["data"]["sets"][0]["options"]["salt"] == "secret"
    assert config.published()["data"]["sets"][0]["options"] == {"frames": 2}


def test_images_are_not_mirrored_where_a_side_is_read() -> None:
    heads = 'labels.heads=["examined", "laterality"]'
    with pytest.raises(ConfigError, match="images are mirrored, and the head 'laterality'"):
        TrainConfig.preset("default", (heads, "augment.changes.flip=0.5"))
