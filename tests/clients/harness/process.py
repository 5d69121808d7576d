"""Processes that are ended by those who started them, and free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .checks import eventually


class NotStarted(RuntimeError):
    """A process ended, or never listened."""


# Given to someone who may not listen yet: the system names such a port again.
GIVEN: set[int] = set()


def free_port() -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def accepts(address: int | Path) -> bool:
    """Whether somebody listens at a port of loopback, or at a socket in a file."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1)
        at = str(address) if isinstance(address, Path) else ("127.0.0.1", address)
        return probe.connect_ex(at) == 0  # type: ignore[arg-type]


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    listens: int | Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command until the block ends; `log` takes what it prints."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | dict(environment or {}),
        )
    try:
        await_listening(process, listens, log)
        yield process
    finally:
        end(process)


def await_listening(process: subprocess.Popen[bytes], address: int | Path, log: Path) -> None:
    def up() -> bool:
        if process.poll() is not None:
            raise NotStarted(f"ended with {process.returncode}: {tail(log)}")
        return accepts(address)

    eventually(up, f"`{process.args}` listens at {address}: {tail(log)}", 30)


def end(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
