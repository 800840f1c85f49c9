"""What a model refuses, beside the errors of `terminology.errors`.

::

    BodySiteError
    ├── NetworkError           there is no such network
    ├── CheckpointError        a file of parameters is missing, damaged, foreign or does not fit
    ├── ArtefactError          a file of a model to be served is damaged, foreign or newer
    ├── CalibrationError       a calibration is damaged, or cannot be fitted to these scores
    ├── DataSetError           a data set, a split or a file of scores is missing or malformed
    ├── ConfigError            a training configuration says what nothing understands
    ├── TrainingError          a run cannot start, go on or be resumed as it stands
    ├── PreprocessingError     an image or a setting that preprocessing or augmentation refuses
    ├── ImageError             the pixels of a file, an array or a dataset cannot be had
    │   ├── NoPixelsError      it is DICOM, but no image: a report, a waveform, contours
    │   └── PixelLimitError    it claims to be larger than the limits allow
    ├── ReportError            a report cannot be written where it is to stand, or of what
    ├── SimulationError        a volume or a view that no radiograph can be simulated of
    └── PredictionError        a model cannot answer for one image
"""

from __future__ import annotations

from terminology.errors import BodySiteError


class PredictionError(BodySiteError):
    """An image that a model cannot read or answer for; other images are not concerned."""

    def __reduce__(self) -> tuple[type[PredictionError], tuple[str, str, str, str]]:
        # Images are made ready in other processes, and errors come back as answers do.
        return type(self), (self.where, self.what, self.expected, self.remedy)


class ArtefactError(BodySiteError):
    """A `*.bodysite` file that is missing, damaged, foreign, newer, or cannot be run here."""


class DataSetError(BodySiteError):
    """A data set, a split or a file of scores that is missing, malformed or does not fit."""


class CalibrationError(BodySiteError):
    """A calibration that is damaged or foreign, or scores that none can be fitted to."""


class ConfigError(BodySiteError):
    """A training configuration with a key or a value that nothing understands."""


class TrainingError(BodySiteError):
    """A run that cannot start, go on or be resumed as it stands."""


class PreprocessingError(BodySiteError):
    """An image or a setting that preprocessing or augmentation cannot work with."""


class NetworkError(BodySiteError):
    """A specification that no network answers to, or a loss that lacks what it was asked for."""


class CheckpointError(BodySiteError):
    """A file of parameters that is missing, damaged, foreign, newer, or does not fit."""


class ImageError(BodySiteError):
    """A file, an array or a dataset whose pixels cannot be had.

    Attributes
    ----------
    transfer_syntax
        Name and UID of the DICOM encoding; `None` for what is not DICOM or does not say.
    """

    def __init__(
        self,
        where: str,
        what: str,
        expected: str,
        remedy: str,
        *,
        transfer_syntax: str | None = None,
    ) -> None:
        self.transfer_syntax = transfer_syntax
        super().__init__(where, what, expected, remedy)


class NoPixelsError(ImageError):
    """A DICOM object that holds no image, such as a report, a waveform or contours."""


class PixelLimitError(ImageError):
    """An image that claims to be larger than `classifier.pixels.limits.PixelLimits` allow."""


class ReportError(BodySiteError):
    """A report that cannot be written, or what cannot be reported on."""


class SimulationError(BodySiteError):
    """A volume or a view that no radiograph can be simulated of."""
