"""HTTP on a real socket: what is smuggled, never ends, or never begins."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from api.security.protocol import OPTIONS, GuardedProtocol
from tests.api.client import Client

Send = Callable[[bytes], bytes]


class _Impatient(GuardedProtocol):
    head_seconds = 0.3
    drain_seconds = 0.3


@pytest.fixture
def connect(serve: Callable[..., Client]) -> Iterator[Callable[[], socket.socket]]:
    """A function that opens a connection to a service that has little patience."""
    app = serve(max_body_bytes=1000).app
    options: dict[str, Any] = {**OPTIONS, "http": _Impatient, "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, port=0, **options))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    opened: list[socket.socket] = []

    def open_one() -> socket.socket:
        connection = socket.create_connection(listener.getsockname(), timeout=20)
        opened.append(connection)
        return connection

    try:
        while not server.started:
            time.sleep(0.01)
        yield open_one
    finally:
        for one in opened:
            one.close()
        server.should_exit = True
        thread.join()
        listener.close()


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    found = b""
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            return found
        if not part:
            return found
        found += part


HOST = b"Host: localhost\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (
            b"POST /r4 HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /r4/Patient HTTP/1.1\r\n\r\n",
            "a length and chunks",
        ),
        (
            b"POST /r4 HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "two lengths",
        ),
        (
            b"POST /r4 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n",
            "chunks that are not the last coding",
        ),
        (
            b"POST /r4 HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
            "a length with a sign",
        ),
        (b"GET /r4/\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n", "a path that is not ASCII"),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "two hosts"),
        (b"GET /health HTTP/1.1\r\nHost: a\x00b\r\n\r\n", "a NUL in a header"),
        (b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n", "a blank before the colon"),
        (b"NOTHING\r\n\r\n", "no HTTP at all"),
    ],
)
def test_what_proxies_would_read_in_another_way_is_refused(
    connect: Callable[[], socket.socket], request_bytes: bytes, reason: str
) -> None:
    connection = connect()
    connection.sendall(request_bytes)
    connection.shutdown(socket.SHUT_WR)
    found = everything(connection)
    assert found.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431")), (reason, found[:60])
    assert found.count(b"HTTP/1.1 ") == 1, reason


@pytest.mark.parametrize(
    "begun", [b"", b"GET ", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "]
)
def test_a_head_that_does_not_end_is_not_waited_for(
    connect: Callable[[], socket.socket], begun: bytes
) -> None:
    connection = connect()
    connection.sendall(begun)
    assert everything(connection) == b""


def _trickle(connection: socket.socket) -> None:
    for number in range(10_000):
        connection.sendall(b"X-%d: 1\r\n" % number)
        time.sleep(0.01)


def test_a_head_that_trickles_is_not_waited_for_either(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.sendall(b"GET /health HTTP/1.1\r\n")
    with pytest.raises(ConnectionError):
        _trickle(connection)


def test_the_second_request_of_a_connection_has_no_more_time(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.sendall(b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n")
    assert b"200" in connection.recv(65_536)
    connection.sendall(b"GET ")
    everything(connection)


def test_a_head_without_end_is_cut_off(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"GET /health HTTP/1.1\r\n")
    try:
        for _ in range(1000):
            connection.sendall(b"X-Long: " + b"a" * 8000 + b"\r\n")
    except OSError:
        return
    assert everything(connection).startswith((b"HTTP/1.1 400", b""))


def test_the_rest_of_a_body_that_was_refused_is_not_read_for_good(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.sendall(
        b"POST /r4/ImagingStudy/$annotate HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/dicom\r\nContent-Length: 100000000\r\n\r\n"
    )
    found = everything(connection)
    assert found.startswith(b"HTTP/1.1 413")


def test_nobody_is_told_what_serves(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    head = everything(connection).partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 200")
    assert b"\nserver:" not in head
    assert b"uvicorn" not in head


def test_a_websocket_is_not_spoken(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(
        b"GET /r4/ImagingStudy HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n"
        b"Connection: upgrade, close\r\nSec-WebSocket-Key: YQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    assert not everything(connection).startswith(b"HTTP/1.1 101")
