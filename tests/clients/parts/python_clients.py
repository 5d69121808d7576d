"""httpx over HTTP/1.1 and HTTP/2, and requests: reuse, streams, fifty at once, refusals while uploading."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator

import httpx
import requests

from harness.checks import Checks, eventually, holds, same
from harness.world import CLIENT, STRANGER, Proxy, World, http_json

PIECE, PIECES = b"\x07" * 65536, 128
DIGEST = hashlib.sha256(PIECE * PIECES).hexdigest()
ECHO = f"/org/{CLIENT}/echo"


def run(world: World, checks: Checks) -> None:
    with world.node() as (upstream, status), world.proxy(upstream) as proxy:
        for version in ["HTTP/1.1", "HTTP/2"]:
            asyncio.run(httpx_client(world, proxy, checks, version, status))
        requests_client(world, proxy, checks)


def client(world: World, proxy: Proxy, version: str) -> httpx.AsyncClient:
    new = version == "HTTP/2"
    limits = httpx.Limits(max_connections=50)
    return httpx.AsyncClient(
        http1=not new, http2=new, base_url=proxy.url, headers=world.bearer, timeout=30, limits=limits
    )


async def httpx_client(world: World, proxy: Proxy, checks: Checks, version: str, status: int) -> None:
    name = f"httpx {version}"
    with checks.case(f"{name}: 200 calls on one connection"):
        ports = set()
        async with client(world, proxy, version) as http:
            for at in range(200):
                answer = await http.get(f"/open/echo/{at}")
                same((answer.status_code, answer.http_version), (200, version))
                same(answer.json()["target"], f"/open/echo/{at}")
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
        same(len(ports), 1, "connections")
    with checks.case(f"{name}: 50 at once, each with its own answer"):
        async with client(world, proxy, version) as http:
            await asyncio.gather(*(own_answer(http, at) for at in range(50)))
            await asyncio.gather(*(own_answer(http, at) for at in range(50)))
    async with client(world, proxy, version) as http:
        await streams(http, checks, name)
        await refusals(http, checks, name)
        if version == "HTTP/1.1":
            # Over HTTP/2 httpx leaves a stream without a word.
            with checks.case(f"{name}: one of two streams is broken off, the other goes on"):
                await break_off(http, status)


async def own_answer(http: httpx.AsyncClient, at: int) -> None:
    body = bytes([at]) * (at * 1000 + 1)
    answer = await http.post(f"{ECHO}/{at}", content=body)
    same(answer.status_code, 200)
    expected = (f"{ECHO}/{at}", hashlib.sha256(body).hexdigest())
    same((answer.json()["target"], answer.json()["sha256"]), expected)


async def streams(http: httpx.AsyncClient, checks: Checks, name: str) -> None:
    with checks.case(f"{name}: a body of no known length up"):
        answer = await http.post(ECHO, content=pieces())
        same((answer.status_code, answer.json()["sha256"]), (200, DIGEST))
    with checks.case(f"{name}: a stream down, read piece by piece"):
        async with http.stream("GET", "/open/stream?bytes=8388608") as answer:
            read = [len(piece) async for piece in answer.aiter_raw(65536)]
        same((answer.status_code, sum(read)), (200, 8388608))
    with checks.case(f"{name}: HEAD, 204, and another call on the same connection"):
        same((await http.head("/open/download?bytes=99")).headers["content-length"], "99")
        same((await http.get("/open/nothing")).status_code, 204)
        same((await http.get("/open/echo")).status_code, 200)


async def refusals(http: httpx.AsyncClient, checks: Checks, name: str) -> None:
    for what, path, headers, expected in [
        ("no right", f"/org/{STRANGER}/echo", {}, (403, "access-denied")),
        ("a bad token", ECHO, {"authorization": "Bearer x"}, (401, "token-malformed")),
        ("no rule", "/nothing/here", {}, (404, "route-unknown")),
    ]:
        with checks.case(f"{name}: {what}, told while 8 MiB are uploaded"):
            answer = await http.post(path, content=pieces(), headers=headers)
            same((answer.status_code, answer.json()["code"]), expected)
            same(answer.headers["content-type"], "application/problem+json")
        with checks.case(f"{name}: {what}, and the next call is served"):
            same((await http.get("/open/echo")).status_code, 200)


async def break_off(http: httpx.AsyncClient, status: int) -> None:
    async with http.stream("GET", "/open/endless?id=httpx-stays") as stays:
        lines = stays.aiter_lines()
        async with http.stream("GET", "/open/endless?id=httpx-leaves") as leaves:
            same(leaves.status_code, 200)
            await anext(leaves.aiter_lines())
        await asyncio.to_thread(
            eventually,
            lambda: http_json(f"http://127.0.0.1:{status}/httpx-leaves") == "closed",
            "the upstream's exchange ended",
        )
        for _ in range(5):
            same(await anext(lines), "more")
        same(http_json(f"http://127.0.0.1:{status}/httpx-stays"), None)


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(PIECES):
        yield PIECE


def requests_client(world: World, proxy: Proxy, checks: Checks) -> None:
    with requests.Session() as session:
        session.headers.update(world.bearer)
        with checks.case("requests: a session of 100 calls"):
            for at in range(100):
                answer = session.post(f"{proxy.url}{ECHO}", json={"at": at}, timeout=30)
                same((answer.status_code, answer.json()["bytes"]), (200, len(f'{{"at": {at}}}')))
        with checks.case("requests: a generator as body, sent in chunks"):
            answer = session.post(f"{proxy.url}{ECHO}", data=chunks(), timeout=30)
            same((answer.status_code, answer.json()["sha256"]), (200, DIGEST))
        with checks.case("requests: multipart is passed on unread"):
            files = {"file": ("a.bin", PIECE)}
            answer = session.post(f"{proxy.url}{ECHO}", files=files, timeout=30)
            same(answer.status_code, 200)
            holds(answer.json()["bytes"] > len(PIECE), "the file and what is around it")
        with checks.case("requests: a stream down"):
            answer = session.get(f"{proxy.url}/open/stream?bytes=8388608", stream=True, timeout=30)
            same(sum(map(len, answer.iter_content(65536))), 8388608)
        with checks.case("requests: refused"):
            answer = session.post(f"{proxy.url}/org/{STRANGER}/echo", data=PIECE, timeout=30)
            same((answer.status_code, answer.json()["code"]), (403, "access-denied"))


def chunks() -> Iterator[bytes]:
    for _ in range(PIECES):
        yield PIECE
