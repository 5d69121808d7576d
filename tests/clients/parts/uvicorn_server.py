"""uvicorn with Starlette as the upstream: bodies, server-sent events, and clients that leave."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx

from harness.checks import Checks, eventually, same
from harness.process import free_port, running
from harness.world import CLIENT, UPSTREAMS, World, http_json

PIECE, PIECES = b"\x07" * 65536, 80


def run(world: World, checks: Checks) -> None:
    with (
        uvicorn(world, "asgi:app") as upstream,
        world.proxy(upstream) as proxy,
        httpx.Client(base_url=proxy.url, headers=world.bearer, timeout=30) as http,
    ):
        bodies(http, checks)
        events(http, checks)
        leaving(http, checks, upstream)


@contextmanager
def uvicorn(world: World, app: str) -> Iterator[str]:
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", app, "--app-dir", UPSTREAMS, "--port", str(port),
        "--http", "h11", "--ws", "none", "--log-level", "warning", "--no-access-log",
        "--timeout-graceful-shutdown", "1",
    ]  # fmt: skip
    with running(command, log=world.file("uvicorn.log"), listens=port):
        yield f"http://127.0.0.1:{port}"


def bodies(http: httpx.Client, checks: Checks) -> None:
    with checks.case("100 calls on one connection"):
        for at in range(100):
            answer = http.post(f"/org/{CLIENT}/a%20b/{at}?q=1", content=b"x" * at)
            same((answer.status_code, answer.json()["bytes"]), (200, at))
            same(answer.json()["target"], f"/org/{CLIENT}/a%20b/{at}")
    with checks.case("5 MiB, with and without a length"):
        digest = hashlib.sha256(PIECE * PIECES).hexdigest()
        for content in [PIECE * PIECES, iter([PIECE] * PIECES)]:
            same(http.put(f"/org/{CLIENT}/upload", content=content).json()["sha256"], digest)
    with checks.case("identity cannot be brought along"):
        forged = {"Portvakt-Party": "forged", "portvakt_party": "forged", "Portvakt.Rule": "forged"}
        headers = http.get(f"/org/{CLIENT}/x", headers=forged).json()["headers"]
        same([name for name, value in headers.items() if "forged" in value], [])
        same(headers["portvakt-rule"], "company")


def events(http: httpx.Client, checks: Checks) -> None:
    wanted = {"accept": "text/event-stream"}
    with (
        checks.case("server-sent events come one by one"),
        http.stream("GET", "/open/events", headers=wanted) as answer,
    ):
        same(answer.headers["content-type"], "text/event-stream; charset=utf-8")
        lines = (line for line in answer.iter_lines() if line.startswith("data"))
        same(next(lines), "data: 1")
        same(http.get("/open/release").text, "released")
        same(list(lines), ["data: 2", "data: 3", "data: 4"])


def leaving(http: httpx.Client, checks: Checks, upstream: str) -> None:
    with checks.case("who leaves a stream ends it"):
        with http.stream("GET", "/open/endless?id=stream") as answer:
            same(next(answer.iter_lines()), "more")
        becomes(upstream, "stream", "ended")
    with checks.case("who leaves before the answer is missed"):
        with suppress(httpx.ReadTimeout):
            http.get("/open/patient?id=patient", timeout=0.3)
        becomes(upstream, "patient", "disconnected")
    with checks.case("who leaves amid an upload is missed"):
        with suppress(RuntimeError):
            http.post("/open/upload?id=upload", content=broken_off(upstream))
        becomes(upstream, "upload", "aborted")


def broken_off(upstream: str) -> Iterator[bytes]:
    yield PIECE
    becomes(upstream, "upload", "reading")
    raise RuntimeError("no more")


def becomes(upstream: str, name: str, outcome: str) -> None:
    eventually(lambda: http_json(f"{upstream}/status/{name}") == outcome, f"`{name}` is {outcome}")
