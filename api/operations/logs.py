"""How the service logs: lines of text or JSON on stderr, none of which can hold a patient's data.

Our own messages are written with care; those of other packages are not, and neither are the
messages of exceptions. So an exception is logged as its type and the places that it passed, and
what another package says is withheld: only where it was said is written.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
import warnings
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

# The id of the request that is being answered; worker threads inherit it.
request_id: Final[ContextVar[str | None]] = ContextVar("bodysite_request_id", default=None)

_OURS: Final = ("api", "bodysite", "classifier", "terminology")
# Their messages name processes, connections and migrations, never content.
_TRUSTED: Final = (*_OURS, "alembic", "uvicorn")
_FRAMES: Final = 20


def configure_logging(
    form: LogFormat = "text", level: LogLevel = "info", stream: TextIO | None = None
) -> None:
    """Log to `stream` (stderr) from now on, and nowhere else.

    `level` is that of our own messages. Other packages are heard from WARNING on, whatever `level`
    says: what they write below it shows statements and values.
    """
    handler = _Lines(stream)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Lines)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        theirs = logging.getLogger(name)
        theirs.handlers.clear()
        theirs.propagate = True
        theirs.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    warnings.showwarning = _show_warning


class _Lines(logging.Handler):
    """Writes each line at once, to what stderr is at that moment where no stream is given."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line in one piece, so that those of several processes do not mix."""
        stream = self._stream or sys.stderr
        try:
            stream.write(f"{self.format(record)}\n")
            stream.flush()
        except (OSError, ValueError):
            # Nobody listens any more, which is no reason to stop serving.
            return


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        return json.dumps(_content(record), ensure_ascii=False, separators=(",", ":"), default=str)


class TextLines(logging.Formatter):
    """The same for people: time, level, logger, message, then ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        content = _content(record)
        head = [str(content.pop(key)) for key in ("time", "level", "logger", "message")]
        error = content.pop("error", None)
        rest = [f"{key}={value}" for key, value in content.items() if value is not None]
        line = " ".join([*head, *rest])
        if error is not None:
            line += f" error={error['type']} at {' < '.join(error['places'])}"
        return line


def _content(record: logging.LogRecord) -> dict[str, Any]:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    content: dict[str, Any] = {
        "time": f"{seconds}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _message(record),
    }
    fields = getattr(record, "fields", None)
    if isinstance(fields, dict):
        content |= fields
    if "request_id" not in content and (current := request_id.get()) is not None:
        content["request_id"] = current
    if record.exc_info and record.exc_info[1] is not None:
        content["error"] = _error(record.exc_info[1])
    return content


def _message(record: logging.LogRecord) -> str:
    top = record.name.partition(".")[0]
    if top in _TRUSTED:
        return _one_line(record.getMessage())
    return f"a message of another package is withheld; {record.filename}:{record.lineno} said it"


def _one_line(text: str) -> str:
    """Return `text` so that no line of it can pass for another entry."""
    return text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text


def _error(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
    return {"type": type(error).__name__, "places": places}


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    # Without the message: pydicom's quote values of headers.
    logging.getLogger("bodysite.warnings").warning(
        "%s at %s:%d", category.__name__, filename, lineno
    )
