import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from classifier.data.labels import Head, LabelSpace
from classifier.errors import CheckpointError
from classifier.models.checkpoint import TrainedModel, load_model, save_model
from classifier.models.coherence import Coherence
from classifier.models.losses import LossSettings, total_loss
from classifier.models.network import BodySiteNet, NetworkSpec
from classifier.models.probabilities import probabilities
from classifier.preprocess.pipeline import Preprocessing
from tests.classifier.models.made import DIAMOND, SPACE

SPEC = NetworkSpec("resnet10", 8, 1)


def model(spec=SPEC, space=SPACE, seed=0):
    return TrainedModel(
        BodySiteNet(spec, space, seed=seed).eval(),
        space,
        Preprocessing("A", size=32, channels=1),
        spec,
        "tiny",
        "1.2.3",
        metrics={"accuracy": 0.5, "floor": None, "words": "Höhe"},
        config={"epochs": 3, "heads": ["view"]},
    )


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.pt"
    save_model(path, model())
    return path


def changed(path, change):
    """Rewrite the file at `path` with its payload after `change`."""
    payload = torch.load(path, weights_only=True)
    change(payload)
    torch.save(payload, path)


def test_all_that_answers_depend_on_comes_back(saved):
    before, after = model(), load_model(saved)
    for name in ("space", "preprocessing", "spec", "name", "version", "metrics", "config"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.packages == before.packages
    assert after.packages["torch"] == torch.__version__
    assert after.weights_sha256 == before.weights_sha256
    assert not after.net.training
    picture = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        expected, found = before.net(picture), after.net(picture)
    assert all(torch.equal(found[head], expected[head]) for head in SPACE.heads)


def test_the_digest_tells_models_apart():
    assert model(seed=0).weights_sha256 == model(seed=0).weights_sha256
    assert model(seed=0).weights_sha256 != model(seed=1).weights_sha256


def test_what_it_started_from_is_not_needed_to_load_it(tmp_path):
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    save_model(first, model())
    started = replace(SPEC, weights=str(first))
    save_model(second, model(started, seed=1))
    first.unlink()
    loaded = load_model(second)
    assert loaded.spec == SPEC
    # The trunk is the first model's, the heads are new.
    ours, theirs = loaded.net.state_dict(), model().net.state_dict()
    assert torch.equal(ours["trunk.conv1.weight"], theirs["trunk.conv1.weight"])
    assert not torch.equal(ours["heads.view.weight"], theirs["heads.view.weight"])


def test_eight_images_are_learnt_and_remembered(tmp_path):
    # Each of four parts has a bar of its own; a frontal view is bright, a lateral one is not.
    chance = np.random.default_rng(0)
    pictures = chance.normal(0, 0.05, (8, 1, 32, 32)).astype(np.float32)
    part, view = np.arange(8) % 4, np.arange(8) // 4
    for row in range(8):
        pictures[row, 0, 8 * part[row] : 8 * part[row] + 8] += 1.0 if view[row] else 0.5
    codes = SPACE.columns(Head.EXAMINED)
    present = np.zeros((8, 6), dtype=bool)
    for row in range(8):
        present[row, sorted(DIAMOND.closed([DIAMOND.columns[codes[part[row]]]]))] = True
    targets = {
        "examined": torch.from_numpy(np.eye(4, dtype=bool)[part]),
        "view": torch.from_numpy(np.eye(2, dtype=bool)[view]),
        "modality": torch.ones(8, 1, dtype=torch.bool),
        "present": torch.from_numpy(present),
        "known": torch.ones(8, 6, dtype=torch.bool),
    }
    images = torch.from_numpy(pictures)
    trained, coherence = model(), Coherence(DIAMOND)
    net = trained.net.train()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(40):
        loss, _ = total_loss(net(images), targets, SPACE, LossSettings(), coherence)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    save_model(tmp_path / "model.pt", trained)
    loaded = load_model(tmp_path / "model.pt")
    with torch.inference_mode():
        found = probabilities(loaded.net(images), SPACE, coherence)
        expected = probabilities(net(images), SPACE, coherence)
    assert all(torch.equal(found[head], expected[head]) for head in SPACE.heads)
    assert found[Head.EXAMINED].argmax(1).tolist() == part.tolist()
    assert found[Head.VIEW].argmax(1).tolist() == view.tolist()
    assert torch.equal(found[Head.VISIBLE] > 0.5, targets["present"])


def test_a_failed_save_leaves_what_was_there(saved):
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        save_model(saved, replace(model(), metrics={"array": np.ones(2)}))
    with pytest.raises(ValueError, match="JSON"):
        save_model(saved, replace(model(), metrics={"accuracy": float("nan")}))
    assert saved.read_bytes() == before
    assert [one.name for one in saved.parent.iterdir()] == ["model.pt"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pt: cannot be read .*Correct the path"):
        load_model(tmp_path / "none.pt")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_cut_files_are_damaged(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CheckpointError) as caught:
        load_model(saved)
    assert str(saved) in caught.value.where


def test_no_changed_byte_goes_unseen(saved):
    # The file is refused, or what changed is no part of the model: the archive is padded.
    content = saved.read_bytes()
    whole = load_model(saved)
    for place in np.random.default_rng(1).integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        saved.write_bytes(damaged)
        try:
            loaded = load_model(saved)
        except CheckpointError:
            continue
        assert loaded.weights_sha256 == whole.weights_sha256
        assert loaded.metrics == whole.metrics


def weights_changed(payload):
    payload["weights"]["heads.view.bias"] += 1


def header_changed(payload):
    payload["header"] = payload["header"].replace('"tiny"', '"tall"')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (weights_changed, "its parameters are not what was written"),
        (header_changed, "its description is not what was written"),
        (lambda payload: payload.pop("weights"), "its description is not what was written"),
        (lambda payload: payload.update(format_version=2), r"format '2'; .*or a later one"),
        (lambda payload: payload.update(format_version="1"), "is of format '1'"),
        (lambda payload: payload.update(format="other"), "is no model of Bodysite"),
    ],
)
def test_changed_foreign_and_newer_files_are_told_apart(saved, change, message):
    changed(saved, change)
    with pytest.raises(CheckpointError, match=message):
        load_model(saved)


@pytest.mark.parametrize(
    "content",
    [
        b"not a model",
        b"PK\x03\x04",
        # Pickles of a number and of a call.
        b"\x80\x02K\x01.",
        b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.",
    ],
)
def test_files_of_other_programs_are_refused(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    assert caught.value.where == str(path)


class Code(nn.Module):
    pass


def test_code_is_not_run(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(Code(), path)
    with pytest.raises(CheckpointError, match="holds more than parameters"):
        load_model(path)


@pytest.mark.parametrize("change", [weights_changed, header_changed])
def test_nothing_starts_from_a_damaged_model(saved, change):
    changed(saved, change)
    with pytest.raises(CheckpointError, match="is damaged"):
        BodySiteNet(replace(SPEC, weights=str(saved)), SPACE)


def test_a_state_dict_alone_is_no_model_but_can_start_one(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(model().net.trunk.state_dict(), path)
    with pytest.raises(CheckpointError, match="can start a training"):
        load_model(path)
    BodySiteNet(replace(SPEC, weights=str(path)), SPACE)


def test_parts_that_do_not_fit_together_are_named(saved):
    other = LabelSpace(DIAMOND, {Head.VIEW: ("frontal",)}, visible=False)
    mixed = replace(model(), space=other)
    save_model(saved, mixed)
    with pytest.raises(CheckpointError) as caught:
        load_model(saved)
    assert "heads.view.weight (2, 64) instead of (1, 64)" in caught.value.what
    assert "heads.examined.bias" in caught.value.what


def test_descriptions_that_cannot_be_built_are_named(saved):
    def unknown(payload):
        header = json.loads(payload["header"])
        header["spec"]["backbone"] = "resnet19"
        payload["header"] = json.dumps(header)
        payload["header_sha256"] = hashlib.sha256(payload["header"].encode()).hexdigest()

    changed(saved, unknown)
    with pytest.raises(CheckpointError, match=r"cannot be built .*resnet19"):
        load_model(saved)
