"""A run in the processes that torchrun starts; each notes the weights that it has."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from classifier.models.weights import digest
from classifier.training import loop
from classifier.training.distributed import joined
from classifier.training.logs import Reporter
from classifier.training.runs import run_training
from terminology.library import Terminology
from tests.classifier.training.small import config_of


def main(data: Path, run: Path, notes: Path) -> None:
    outputs_of = loop.outputs_of
    seen: list[str] = []

    def noted(net: Any, *given: Any) -> Any:
        outputs = outputs_of(net, *given)
        seen.append(digest(net.state_dict()) + digest({str(k): v for k, v in outputs.items()}))
        return outputs

    loop.outputs_of = noted
    with joined("cpu") as group:
        mine = group.share(range(5))
        said = {
            "share": list(mine),
            "gathered": group.gather(mine),
            "any": group.any(group.rank == 1, False),
            "mean": group.mean(float(group.rank)),
            "told": group.told(group.rank),
        }
        config = config_of("default", data, "network.dropout=0.0")
        run_training(config, run, Terminology.load(), group, Reporter(), resume=False)
        note = {"weights": seen, "said": said}
        (notes / f"{group.rank}.json").write_text(json.dumps(note), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
