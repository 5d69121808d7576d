"""The HTTP server of the JDK as the upstream."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import httpx

from harness.checks import Checks, holds, same
from harness.process import free_port, running
from harness.world import CLIENT, UPSTREAMS, World

MEBIBYTE = 1 << 20


def run(world: World, checks: Checks) -> None:
    port = free_port()
    # Without it each answer takes 40 ms: Nagle's algorithm against delayed acknowledgements.
    command = ["java", "-Dsun.net.httpserver.nodelay=true", UPSTREAMS / "Upstream.java", str(port)]
    with (
        running(command, log=world.file("java.log"), listens=port),
        world.proxy(f"http://127.0.0.1:{port}") as proxy,
        httpx.Client(base_url=proxy.url, headers=world.bearer, timeout=30) as http,
    ):
        with checks.case("200 calls on one connection"):
            for at in range(200):
                same(http.get(f"/open/{at}?q=%2F").text.split()[0], f"/open/{at}?q=%2F")
        with checks.case("5 MiB up, with and without a length"):
            body = b"\x07" * 5 * MEBIBYTE
            for content in [body, iter([body])]:
                answer = http.post(f"/org/{CLIENT}/upload", content=content).text.split()
                same(answer[1:], [str(len(body)), hashlib.sha256(body).hexdigest()])
        with checks.case("5 MiB down in chunks"):
            answer = http.get("/open/stream").content
            holds(answer == bytes(5 * MEBIBYTE), f"{len(answer)} other bytes")
        with checks.case("HEAD, then another call"):
            same((http.head("/open/x").status_code, http.get("/open/y").status_code), (200, 200))
        with checks.case("answers that came before bodies were read, 50 times: each call gets its own"):
            for at in range(50):
                # Above 64 KiB it resets the connection under its own answer, whoever the client is.
                answer = http.post("/open/unread", content=b"x" * (at * 1300))
                same((answer.status_code, answer.text), (200, "body left unread"))
                same(http.get(f"/open/after/{at}").text.split()[0], f"/open/after/{at}")
        with checks.case("50 at once"), ThreadPoolExecutor(50) as pool:
            texts = pool.map(lambda at: http.get(f"/open/{at}").text.split()[0], range(200))
            same(list(texts), [f"/open/{at}" for at in range(200)])
