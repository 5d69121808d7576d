"""Checks: one line each, and a tally. A check that raises is wrong, and the next one runs."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Wrong(AssertionError):
    """What was found is not what was expected."""


def same(found: object, expected: object, what: str = "") -> None:
    if found != expected:
        raise Wrong(f"{what + ': ' if what else ''}found {short(found)}, expected {short(expected)}")


def holds(condition: object, what: str) -> None:
    if not condition:
        raise Wrong(what)


def eventually(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Waits for what another process does; nothing else can say when it is done."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Wrong(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)


def short(value: object, most: int = 300) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


class Checks:
    """The checks of one part."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.right = 0
        self.wrong: list[str] = []

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """One check. Whatever is raised inside makes it wrong."""
        started = time.monotonic()
        try:
            yield
        except Exception as fault:  # A client may raise anything, and each is a finding.
            self._say("WRONG", name, started)
            self.wrong.append(f"{self.part}: {name}: {describe(fault)}")
            print(f"         {describe(fault)}", flush=True)
        else:
            self.right += 1
            self._say("ok", name, started)

    def report(self, name: str, right: bool, detail: str) -> None:
        """One check that was made elsewhere."""
        with self.case(name):
            holds(right, detail)

    def _say(self, verdict: str, name: str, started: float) -> None:
        elapsed = time.monotonic() - started
        print(f"  {verdict:<6} {self.part}: {name} ({elapsed:.2f} s)", flush=True)


def describe(fault: Exception) -> str:
    if isinstance(fault, Wrong):
        return str(fault)
    where = traceback.extract_tb(fault.__traceback__)
    own = next((frame for frame in reversed(where) if "/clients/" in frame.filename), where[-1])
    name = own.filename.rsplit("/", 1)[-1]
    return f"{type(fault).__name__}: {short(str(fault), 600)} ({name}:{own.lineno})"
