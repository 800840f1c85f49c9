import subprocess
import sys

import torch

from classifier.models.vision import torchvision


def test_torchvision_imports_and_its_models_run():
    package = torchvision()
    assert package is sys.modules["torchvision"]
    assert torchvision() is package
    net = package.models.get_model("mobilenet_v3_small", weights=None).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_torch_without_torchvision_is_named():
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from classifier.models.vision import torchvision\n"
        "try:\n    torchvision()\n"
        "except ModuleNotFoundError as error:\n    print('named', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "named" in done.stdout
    assert "torchvision" in done.stdout


def test_other_failures_of_the_import_are_not_hidden(tmp_path):
    broken = tmp_path / "torchvision"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('another fault')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from classifier.models.vision import torchvision\n"
        "try:\n    torchvision()\n"
        "except RuntimeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "another fault"
