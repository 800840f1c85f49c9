"""Telling systemd how the service is: the protocol of sd_notify(3), a datagram of lines.

https://www.freedesktop.org/software/systemd/man/sd_notify.html
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Notifier:
    """Where systemd listens, from the environment of a unit with ``Type=notify``.

    Attributes
    ----------
    address
        `None` where nobody listens; then every call does nothing.
    watchdog_seconds
        After so long without a sign of life systemd restarts the service; `None` for never.
    """

    address: str | None = None
    watchdog_seconds: float | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> Notifier:
        """Return the notifier of this process."""
        given = os.environ if environment is None else environment
        address = given.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            # systemd may name a socket of a virtual machine (vsock:), which is not ours to use.
            address = None
        # sd_watchdog_enabled(3): the variables are meant for one process only.
        pid = given.get("WATCHDOG_PID", "")
        usec = given.get("WATCHDOG_USEC", "")
        ours = pid in {"", str(os.getpid())}
        watched = address is not None and ours and usec.isascii() and usec.isdigit()
        return cls(address, int(usec) / _MICROSECONDS if watched and int(usec) else None)

    def ready(self) -> bool:
        """Say that requests are answered from now on."""
        return self._tell("READY=1", "STATUS=Answering.", f"MAINPID={os.getpid()}")

    def stopping(self, seconds: float) -> bool:
        """Say that the end has begun, and how long it may take."""
        extend = f"EXTEND_TIMEOUT_USEC={int(seconds * _MICROSECONDS)}"
        return self._tell("STOPPING=1", "STATUS=Finishing what was begun.", extend)

    def alive(self) -> bool:
        """Give the sign of life that the watchdog waits for."""
        return self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> bool:
        """Send a message; return whether it was taken.

        A service runs on when systemd does not listen any more.
        """
        if self.address is None:
            return False
        # "@" stands for the zero byte of Linux's abstract sockets.
        address = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.connect(address)
                channel.sendall("\n".join(lines).encode())
        except OSError:
            return False
        return True
