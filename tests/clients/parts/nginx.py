"""nginx as the upstream: files and ranges, its own refusals, and connections that it closes early."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from harness.checks import Checks, holds, same
from harness.process import free_port, running
from harness.world import UPSTREAMS, Proxy, World

from .curl import Curl, pattern

MEBIBYTE = 1 << 20
# nginx's `keepalive_timeout`, in seconds: pauses around it meet connections that are being closed.
KEPT_ALIVE = 0.1


def run(world: World, checks: Checks) -> None:
    with world.node() as (behind, _), nginx(world, behind) as upstream, world.proxy(upstream) as proxy:
        curl = Curl(world, proxy.url)
        files(curl, checks)
        large_bodies(curl, checks)
        with checks.case("1 000 calls, each as its connection is about to be closed: no 502"):
            asyncio.run(reuse(world, proxy))


@contextmanager
def nginx(world: World, behind: str) -> Iterator[str]:
    folder, port = world.file("nginx"), free_port()
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "large").write_bytes(pattern(10 * MEBIBYTE))
    (folder / "files" / "answer.json").write_text(json.dumps(["text"] * 1000))
    names = {"FOLDER": folder, "PORT": port, "BEHIND": urlsplit(behind).port}
    with started(world, "nginx.conf", folder, port, names) as url:
        yield url


@contextmanager
def started(world: World, template: str, folder: Path, port: int, names: dict[str, object]) -> Iterator[str]:
    """Runs nginx with a template from `upstreams`."""
    # Its workers would leave root, and then not come into the folder of the run.
    names = {"USER": "user root;" if os.getuid() == 0 else "", **names}
    text = (UPSTREAMS / template).read_text()
    for name, value in names.items():
        text = text.replace(f"@{name}@", str(value))
    file = folder / "nginx.conf"
    file.write_text(text)
    command = ["/usr/sbin/nginx", "-p", folder, "-c", file, "-e", "stderr"]
    with running(command, log=world.file("nginx.log"), listens=port):
        yield f"http://127.0.0.1:{port}"


def files(curl: Curl, checks: Checks) -> None:
    whole = pattern(10 * MEBIBYTE)
    with checks.case("a file of 10 MiB"):
        answer = curl("/open/files/large")
        holds(answer.status == 200 and answer.body == whole, f"{answer.status}, {len(answer.body)} bytes")
    for range_, expected in [("100-199", whole[100:200]), ("-100", whole[-100:]), ("10485700-", whole[10485700:])]:
        with checks.case(f"range {range_}"):
            answer = curl("/open/files/large", "-r", range_)
            same((answer.status, answer.body), (206, expected))
    with checks.case("two ranges, and one beyond the end"):
        same(curl("/open/files/large", "-r", "0-9,20-29").status, 206)
        same(curl("/open/files/large", "-r", "99999999-").status, 416)
    with checks.case("304 for one that is known"):
        head = curl("/open/files/large", "--head").head
        etag = next(line.split(": ")[1] for line in head.splitlines() if line.startswith("etag"))
        same(curl("/open/files/large", "-H", f"If-None-Match: {etag}").status, 304)
    with checks.case("gzip by nginx is passed on"):
        answer = curl("/open/json", "-H", "Accept-Encoding: gzip")
        holds("content-encoding: gzip" in answer.head, answer.head)
        same(len(json.loads(gzip.decompress(answer.body))), 1000)
    with checks.case("404 and 405 of nginx are its own"):
        same(curl("/open/files/none").status, 404)
        same(curl("/open/files/large", "-X", "POST", "-d", "x").status, 405)


def large_bodies(curl: Curl, checks: Checks) -> None:
    with checks.case("20 MiB through nginx to the API behind it"):
        body = pattern(20 * MEBIBYTE)
        answer = curl("/open/behind/echo", "--data-binary", "@-", stdin=body)
        same((answer.status, answer.json["sha256"]), (200, hashlib.sha256(body).hexdigest()))
    for name, options in [("at once", ["-H", "Expect:"]), ("instead of 100", ["-H", "Expect: 100-continue"])]:
        with checks.case(f"413 of nginx for 20 MiB, {name}"):
            answer = curl("/open/limited/x", *options, "--data-binary", "@-", stdin=pattern(20 * MEBIBYTE))
            same(answer.status, 413)
            holds(b"nginx" in answer.body, "the page of nginx")
    with checks.case("and the next call is served"):
        same(curl("/open/small").body, b"small\n")


async def reuse(world: World, proxy: Proxy) -> None:
    chance = random.Random(world.seed)
    callers = [chance.getrandbits(32) for _ in range(20)]
    async with httpx.AsyncClient(base_url=proxy.url, timeout=30) as http:
        statuses = await asyncio.gather(*(pausing(http, seed) for seed in callers))
    same(dict(Counter(status for one in statuses for status in one)), {200: 1000})


async def pausing(http: httpx.AsyncClient, seed: int) -> list[int]:
    chance, statuses = random.Random(seed), []
    for _ in range(50):
        statuses.append((await http.get("/open/small")).status_code)
        await asyncio.sleep(KEPT_ALIVE * chance.uniform(0.9, 1.1))
    return statuses
