"""The protocol of sd_notify, spoken to a socket of the test's own."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.operations.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """What NOTIFY_SOCKET says, and the socket behind it."""
    name = f"@bodysite-{uuid.uuid4().hex}" if request.param == "abstract" else f"{tmp_path}/n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        listener.bind("\0" + name[1:] if name[0] == "@" else name)
        yield name, listener


def test_systemd_hears_how_the_service_is(systemd: tuple[str, socket.socket]) -> None:
    name, listener = systemd
    notifier = Notifier.of({"NOTIFY_SOCKET": name})
    assert notifier.ready()
    assert listener.recv(1000).split(b"\n")[0] == b"READY=1"
    assert notifier.alive()
    assert listener.recv(1000) == b"WATCHDOG=1"
    assert notifier.stopping(2.5)
    stopping = listener.recv(1000).split(b"\n")
    assert stopping[0] == b"STOPPING=1"
    assert b"EXTEND_TIMEOUT_USEC=2500000" in stopping


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "nonsense", "/nowhere/at/all"])
def test_without_a_listener_nothing_happens(address: str | None) -> None:
    notifier = Notifier.of({} if address is None else {"NOTIFY_SOCKET": address})
    assert not notifier.ready()
    assert not notifier.alive()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": "/run/x", **environment})
    assert notifier.watchdog_seconds == seconds
