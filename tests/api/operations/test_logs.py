"""Lines of the log: their form, and that nothing of a patient can get into them."""

from __future__ import annotations

import io
import json
import logging
import warnings
from typing import Any

import pytest

from api.operations.logs import configure_logging, request_id

NAME = "Mustermann^Erika"


@pytest.fixture
def written() -> io.StringIO:
    """A stream in the place of stderr."""
    return io.StringIO()


def fail() -> None:
    raise ValueError(NAME)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_have_what_was_given(written: io.StringIO) -> None:
    configure_logging("json", "info", written)
    token = request_id.set("r-1")
    logging.getLogger("api.x").info("said %d", 1, extra={"fields": {"route": "/r4", "status": 200}})
    request_id.reset(token)
    (line,) = lines(written)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "api.x",
        "message": "said 1",
        "route": "/r4",
        "status": 200,
        "request_id": "r-1",
    }


def test_text_says_the_same_in_one_line(written: io.StringIO) -> None:
    configure_logging("text", "info", written)
    logging.getLogger("api.x").info("said", extra={"fields": {"status": 200, "actor": None}})
    _time, rest = written.getvalue().split(" ", 1)
    assert rest == "info api.x said status=200\n"


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_is_its_type_and_places_and_never_its_message(
    written: io.StringIO, form: Any
) -> None:
    configure_logging(form, "info", written)
    try:
        fail()
    except ValueError:
        logging.getLogger("api.x").exception("it failed")
    assert "ValueError" in written.getvalue()
    assert "test_logs.py" in written.getvalue()
    assert NAME not in written.getvalue()


@pytest.mark.parametrize("name", ["pydicom", "asyncio", "sqlalchemy.engine", "root"])
def test_what_another_package_says_is_withheld(written: io.StringIO, name: str) -> None:
    configure_logging("json", "debug", written)
    logger = logging.getLogger() if name == "root" else logging.getLogger(name)
    logger.warning("odd value %s", NAME)
    (line,) = lines(written)
    assert NAME not in json.dumps(line)
    assert "test_logs.py:" in line["message"]


def test_other_packages_are_not_heard_below_warning(written: io.StringIO) -> None:
    configure_logging("json", "debug", written)
    logging.getLogger("sqlalchemy.engine").info("SELECT %s", NAME)
    logging.getLogger("uvicorn.access").error("GET /r4/Patient?name=%s", NAME)
    assert written.getvalue() == ""


def test_a_warning_is_its_kind_and_place(written: io.StringIO) -> None:
    configure_logging("json", "info", written)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logging("json", "info", written)
        warnings.warn(NAME, UserWarning, stacklevel=1)
    (line,) = lines(written)
    assert line["message"].startswith("UserWarning at ")
    assert NAME not in written.getvalue()


def test_no_message_can_look_like_two_lines(written: io.StringIO) -> None:
    configure_logging("text", "info", written)
    logging.getLogger("api.x").info("one\ntwo\r\x1b[31m")
    assert len(written.getvalue().splitlines()) == 1
    assert "\x1b" not in written.getvalue()


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("info", 1), ("error", 0)])
def test_the_level_is_that_of_our_own_messages(
    written: io.StringIO, level: Any, count: int
) -> None:
    configure_logging("json", level, written)
    logging.getLogger("api.x").debug("a")
    logging.getLogger("terminology.x").info("b")
    assert len(lines(written)) == count


def test_a_closed_stream_is_no_reason_to_fail(written: io.StringIO) -> None:
    configure_logging("json", "info", written)
    written.close()
    logging.getLogger("api.x").error("nobody listens")
