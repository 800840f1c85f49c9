"""`FusionSettings`: how header and image are joined, and when a person should look.

They stand in the table ``[fusion]`` of the TOML file that holds the settings of header reading::

    trust = ["AnatomicRegionSequence", "BodyPartExamined"]

    [fusion]
    policy = "fused"
    tau_hi = 0.9                              # call fewer headers contradicted
    reliability = "header-reliability.tsv"    # beside this file
    review_without = ["header-conflict"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from terminology.settings import settings_error, settings_tables

TABLE: Final = "fusion"


class Policy(StrEnum):
    """Which of the joined answers is the answer of an instance."""

    FUSED = "fused"
    ANY = "any"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """Thresholds and defaults of fusion; probabilities are in [0, 1].

    Attributes
    ----------
    policy
        ``fused``: header and image weighed by their reliability. ``any``: whatever either says,
        for recall. ``both``: only what both say, for precision.
    tau_hi
        The header is contradicted where it is wrong at least this probably, given header and
        image: that is a conflict, and the instance goes to review. Below it, the likelier of the
        two answers, and its confidence says how likely.
    tau_lo
        The detail of a header that is more specific than the image's answer is kept where the
        image finds it at least this probable. Candidates below it are no part of the union.
    image_from
        Of a model without a posterior: how sure its answer must be to go before the header.
    flag_from
        How sure a model must be of view, side or modality to contradict the header's.
    review_from
        An answer that header and image together make less probable than this goes to review.
    header_error
        How often headers name a wrong site, where no site has counted. Gueld et al. 2002 found
        15.3 % of BodyPartExamined wrong.
    near_errors
        The share of wrong headers that name a neighbour of the right site; the others may name
        any.
    outside
        How probable a part is that is no class of the model, where the model is not sure at all.
    cap
        The largest change, as a natural logarithm, that one fact of the header, or the site's own
        frequencies, may make to a probability.
    smoothing
        How many instances the default of `header_error` weighs against those that a site counted.
    read_modalities
        Modalities of the header whose images the model reads well: the shipped one was trained on
        radiographs, and on few slices of CT and MR.
    other_weight
        The power that the model's probabilities are taken to for images of other modalities: 1
        trusts them as well, 0 not at all.
    no_body
        Codes of `classifier.calibration.reasons.Reason` that say that no human body is to be
        seen; the header is then not followed.
    review_without
        Review codes that a site does not want to hear of.
    reliability
        A table of `HeaderReliability`; a path that is not absolute starts at the file of settings.
    """

    policy: Policy = Policy.FUSED
    tau_hi: float = 0.8
    tau_lo: float = 0.05
    image_from: float = 0.95
    flag_from: float = 0.95
    review_from: float = 0.6
    header_error: float = 0.15
    near_errors: float = 0.6
    outside: float = 0.1
    cap: float = 4.0
    smoothing: float = 20.0
    read_modalities: tuple[str, ...] = ("CR", "DX", "RG", "MG", "PX")
    other_weight: float = 0.6
    no_body: tuple[str, ...] = ("animal", "phantom")
    review_without: tuple[str, ...] = ()
    reliability: Path | None = None

    @classmethod
    def read(cls, path: Path) -> FusionSettings:
        """Return the settings in the table ``[fusion]`` of the TOML file at `path`.

        What it does not set stays as it is; all other tables and keys are somebody else's.

        Raises
        ------
        SettingsError
            The file cannot be read, a key is no setting, or a value is not of its kind. All of
            them are named.
        """
        return cls.of(settings_tables(path).get(TABLE, {}), path)

    @classmethod
    def of(cls, given: object, path: Path) -> FusionSettings:
        """Return the settings of a table that was read from the file at `path`.

        Raises
        ------
        SettingsError
            It is no table, a key is no setting, or a value is not of its kind.
        """
        table = given if isinstance(given, Mapping) else {}
        problems = list(_problems(table))
        if table is not given:
            problems = [(TABLE, f"'{given}'", f"a table [{TABLE}]")]
        if problems:
            raise settings_error(path, problems)
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        if "policy" in values:
            values["policy"] = Policy(values["policy"])
        if "reliability" in values:
            values["reliability"] = path.parent / values["reliability"]
        return cls(**values)


# Settings that are no probability: the least and the largest value.
_RANGES: Final = {"cap": (0.0, 50.0), "smoothing": (0.01, 1e9), "header_error": (0.001, 0.999)}
_LISTS: Final = frozenset({"no_body", "read_modalities", "review_without"})


def _problems(given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong: the key, what was refused, what is expected."""
    known = [setting.name for setting in fields(FusionSettings)]
    for key, value in given.items():
        name = f"{TABLE}.{key}"
        if key not in known:
            yield name, f"'{key}' is no setting", f"one of {', '.join(known)}"
        elif key == "policy":
            if value not in list(Policy):
                yield name, f"'{value}'", f"one of {', '.join(Policy)}"
        elif key == "reliability":
            if not isinstance(value, str) or not value:
                yield name, f"'{value}'", "the name of a file"
        elif key in _LISTS:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                yield name, f"'{value}'", "a list of codes"
        else:
            least, most = _RANGES.get(key, (0.0, 1.0))
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not least <= value <= most:
                yield name, f"'{value}'", f"a number from {least:g} to {most:g}"
