"""curl: every way in and every way out; uploads with `Expect`, aborts, trailers, refusals in the middle."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checks import Checks, eventually, holds, same
from harness.world import CLIENT, STRANGER, Proxy, World, http_json

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What curl made of one exchange."""

    code: int
    status: int
    version: str
    head: str
    body: bytes
    notes: str
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Curl:
    """curl towards one proxy, always with the same options."""

    def __init__(self, world: World, base: str, *options: str) -> None:
        self.world, self.base, self.options = world, base, options

    def __call__(self, path: str, *options: str | Path, stdin: bytes | None = None) -> Answer:
        head, body = self.world.file("head"), self.world.file("body")
        started = time.monotonic()
        done = subprocess.run(
            ["curl", "-sSv", "--max-time", "60", "-D", head, "-o", body, "-w", "%{json}",
             *self.options, *map(str, options), self.base + path],
            input=stdin, capture_output=True, timeout=120,
        )  # fmt: skip
        said: Mapping[str, Any] = json.loads(done.stdout)
        return Answer(
            code=done.returncode,
            status=int(said["http_code"]),
            version=str(said["http_version"]),
            head=head.read_text().lower() if head.exists() else "",
            body=body.read_bytes() if body.exists() else b"",
            notes=notes(done.stderr.decode(errors="replace")),
            seconds=time.monotonic() - started,
        )

    @property
    def bearer(self) -> list[str]:
        return ["-H", f"Authorization: Bearer {self.world.token}"]


def run(world: World, checks: Checks) -> None:
    ways_in(world, checks)
    ways_out(world, checks)
    with world.node() as (upstream, status), world.proxy(upstream) as proxy:
        for version, option in [("1.1", "--http1.1"), ("2", "--http2-prior-knowledge")]:
            curl = Curl(world, proxy.url, option)
            expectations(curl, checks, version)
            refusals(curl, checks, version)
            bodies(curl, checks, version)
            aborts(curl, checks, version, status)
        many(world, proxy, checks)


def ways_in(world: World, checks: Checks) -> None:
    """Each kind of listener, from the handshake to a refusal."""
    with world.node() as (upstream, _):
        with world.proxy(upstream) as plain:
            for name, version, option in [
                ("HTTP/1.0", "1", "--http1.0"),
                ("HTTP/1.1", "1.1", "--http1.1"),
                ("HTTP/2 by prior knowledge", "2", "--http2-prior-knowledge"),
            ]:
                basics(Curl(world, plain.url, option), checks, name, version)
        with checks.case("a listener on a unix socket"), world.proxy(upstream, socket=True) as proxy:
            assert proxy.socket
            for version, option in [("1.1", "--http1.1"), ("2", "--http2-prior-knowledge")]:
                at = ["--unix-socket", str(proxy.socket)]
                basics(Curl(world, "http://api", option, *at), checks, f"unix socket, {option}", version)
        with checks.case("a listener with TLS"), world.proxy(upstream, tls=True) as proxy:
            base, trust = f"https://localhost:{proxy.port}", ["--cacert", str(world.certificates.authority)]
            for name, version, options in [
                ("TLS, HTTP/1.1", "1.1", ["--http1.1"]),
                ("TLS, HTTP/2 by ALPN", "2", ["--http2"]),
                ("TLS without ALPN", "1.1", ["--no-alpn"]),
                ("TLS 1.2", "2", ["--http2", "--tls-max", "1.2"]),
                ("TLS 1.3", "2", ["--http2", "--tlsv1.3"]),
            ]:
                basics(Curl(world, base, *trust, *options), checks, name, version)


def ways_out(world: World, checks: Checks) -> None:
    """Each kind of upstream."""
    authority = {"ca_file": str(world.certificates.authority)}
    for mode, version, settings in [
        ("unix", "1.1", {}),
        ("h2c", "2.0", {}),
        ("https", "2.0", authority),
    ]:
        with (
            checks.case(f"an upstream of {mode}"),
            world.node(mode) as (upstream, status),
            world.proxy(upstream, upstream=settings) as proxy,
        ):
            for client in ["--http1.1", "--http2-prior-knowledge"]:
                curl = Curl(world, proxy.url, client)
                name = f"{client} to {mode}"
                with checks.case(f"{name}: the upstream is spoken to in its own version"):
                    same(curl("/open/echo").json["version"], version)
                upload(curl, checks, name, 5 * MEBIBYTE)
                download(curl, checks, name, 5 * MEBIBYTE)
                trailers(curl, checks, name)
                abort_of_a_download(curl, checks, name, status)


def basics(curl: Curl, checks: Checks, name: str, version: str) -> None:
    with checks.case(f"{name}: an open address, its target untouched"):
        answer = curl("/open/echo/a%20b?x=1&y=%2F")
        same((answer.code, answer.status, answer.version), (0, 200, version))
        same(answer.json["target"], "/open/echo/a%20b?x=1&y=%2F")
        same(answer.json["headers"]["portvakt-rule"], "open")
    with checks.case(f"{name}: a permitted call names who calls, for whom"):
        answer = curl(f"/org/{CLIENT}/echo", *curl.bearer, "-d", "x=1")
        same((answer.status, answer.json["bytes"]), (200, 3))
        party = answer.json["headers"]["portvakt-party"]
        same(party, f"urn:altinn:organization:identifier-no:{CLIENT}")
    with checks.case(f"{name}: no token, no right, a closed address"):
        same(problem(curl(f"/org/{CLIENT}/echo")), (401, "token-missing"))
        same(problem(curl(f"/org/{STRANGER}/echo", *curl.bearer)), (403, "access-denied"))
        same(problem(curl("/closed/a")), (403, "route-closed"))
        same(problem(curl("/nothing/here")), (404, "route-unknown"))
    with checks.case(f"{name}: HEAD has a head and nothing else"):
        answer = curl("/open/download?bytes=1000", "--head")
        same((answer.code, answer.status), (0, 200))
        holds("content-length: 1000" in answer.head, answer.head)
        answer = curl(f"/org/{CLIENT}/echo", "--head")
        same((answer.code, answer.status), (0, 401))
    upload(curl, checks, name, 5 * MEBIBYTE)


def upload(curl: Curl, checks: Checks, name: str, bytes_: int, *options: str) -> None:
    with checks.case(f"{name}: {bytes_} bytes up, unchanged"):
        body = pattern(bytes_)
        answer = curl(f"/org/{CLIENT}/echo", *curl.bearer, *options, "--data-binary", "@-", stdin=body)
        same((answer.code, answer.status), (0, 200))
        found = (answer.json["bytes"], answer.json["sha256"])
        same(found, (bytes_, hashlib.sha256(body).hexdigest()))


def download(curl: Curl, checks: Checks, name: str, bytes_: int) -> None:
    with checks.case(f"{name}: {bytes_} bytes down, unchanged, with and without a length"):
        for path in ["download", "stream"]:
            answer = curl(f"/open/{path}?bytes={bytes_}")
            same((answer.code, answer.status), (0, 200), path)
            holds(answer.body == pattern(bytes_), f"{path}: {len(answer.body)} other bytes")


def trailers(curl: Curl, checks: Checks, name: str) -> None:
    with checks.case(f"{name}: trailers of an answer"):
        answer = curl("/open/trailers", "-H", "TE: trailers")
        same((answer.code, answer.body), (0, b"with trailers"))
        holds("x-checksum: abc123" in answer.head, answer.head)


def expectations(curl: Curl, checks: Checks, version: str) -> None:
    """`Expect: 100-continue`. Over HTTP/1.1 curl is told to wait for half a minute: what is quicker was asked for.

    Over HTTP/2 nobody sends 100, as flow control does its work; clients wait for a second at most.
    """
    wait = ["-H", "Expect: 100-continue", "--expect100-timeout", "30" if version == "1.1" else "1"]
    for name, bytes_, options in [
        ("1 KB", 1024, []),
        ("5 MB", 5 * MEBIBYTE, []),
        ("5 MB in chunks", 5 * MEBIBYTE, ["-H", "Transfer-Encoding: chunked"]),
    ]:
        if version == "2" and options:
            continue
        with checks.case(f"HTTP/{version}: Expect with {name}"):
            body = pattern(bytes_)
            sent = ["--data-binary", "@-", *options]
            answer = curl(f"/org/{CLIENT}/echo", *curl.bearer, *wait, *sent, stdin=body)
            same((answer.code, answer.status, answer.json["bytes"]), (0, 200, bytes_))
            holds(answer.seconds < 10, f"took {answer.seconds:.1f} s")
    with checks.case(f"HTTP/{version}: Expect where the body is judged"):
        body = json.dumps({"orgnr": CLIENT, "more": "x" * 1000}).encode()
        kind = ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        answer = curl("/judged", *curl.bearer, *wait, *kind, stdin=body)
        same((answer.code, answer.status), (0, 200))
        same(answer.json["sha256"], hashlib.sha256(body).hexdigest())
        holds(answer.seconds < 10, f"took {answer.seconds:.1f} s")
    with checks.case(f"HTTP/{version}: a refused Expect brings no 100"):
        answer = curl(f"/org/{CLIENT}/echo", *wait, "--data-binary", "@-", stdin=pattern(5 * MEBIBYTE))
        same(problem(answer), (401, "token-missing"))
        holds(" 100" not in answer.head.splitlines()[0], answer.head)
        holds(answer.seconds < 10, f"took {answer.seconds:.1f} s")
    with checks.case(f"HTTP/{version}: an unknown expectation"):
        same(problem(curl("/open/echo", "-H", "Expect: miracles")), (417, "expectation-failed"))


def refusals(curl: Curl, checks: Checks, version: str) -> None:
    """A refusal while a large body is on its way must be read as the document it is."""
    for name, path, token, expected in [
        ("no token", f"/org/{CLIENT}/echo", False, (401, "token-missing")),
        ("no right", f"/org/{STRANGER}/echo", True, (403, "access-denied")),
        ("no rule", "/nothing/here", False, (404, "route-unknown")),
    ]:
        with checks.case(f"HTTP/{version}: {name}, told while 50 MB are uploaded"):
            options = ["-H", "Expect:", "--data-binary", "@-"]
            options += curl.bearer if token else []
            same(problem(curl(path, *options, stdin=pattern(50 * MEBIBYTE))), expected)
    with checks.case(f"HTTP/{version}: a judged body that is too large"):
        kind = ["-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", "@-"]
        body = json.dumps({"orgnr": CLIENT, "more": "x" * (5 * MEBIBYTE)}).encode()
        same(problem(curl("/judged", *curl.bearer, *kind, stdin=body)), (413, "body-too-large"))
    with checks.case(f"HTTP/{version}: an answer of the upstream that came before the body"):
        answer = curl("/open/early", "-H", "Expect:", "--data-binary", "@-", stdin=pattern(20 * MEBIBYTE))
        same((answer.status, answer.body), (409, b"no need to read"))


def bodies(curl: Curl, checks: Checks, version: str) -> None:
    name = f"HTTP/{version}"
    download(curl, checks, name, 20 * MEBIBYTE)
    upload(curl, checks, name, 0)
    upload(curl, checks, name, 20 * MEBIBYTE)
    trailers(curl, checks, name)
    with checks.case(f"{name}: a compressed answer is passed on as it is"):
        answer = curl("/open/gzip", "--compressed")
        same(answer.body, b"compressed " * 1000)
        holds("content-encoding: gzip" in answer.head, answer.head)
    with checks.case(f"{name}: 204 and early hints"):
        same(curl("/open/nothing").status, 204)
        same(curl("/open/hints").body, b"after hints")
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS"]:
        with checks.case(f"{name}: {method}"):
            answer = curl("/open/echo", "-X", method, "-d", "body")
            same((answer.status, answer.json["method"], answer.json["bytes"]), (200, method, 4))


def aborts(curl: Curl, checks: Checks, version: str, status: int) -> None:
    abort_of_a_download(curl, checks, f"HTTP/{version}", status)
    with checks.case(f"HTTP/{version}: an upload that is broken off ends the upstream's, too"):
        name = f"upload-{version}"
        slow = ["--limit-rate", "100k", "--max-time", "1", "--data-binary", "@-"]
        answer = curl(f"/open/swallow?id={name}", *slow, stdin=pattern(5 * MEBIBYTE))
        same(answer.code, 28, "curl's exit code")
        eventually(lambda: outcome(status, name) == "aborted", f"aborted: {outcome(status, name)}")


def abort_of_a_download(curl: Curl, checks: Checks, name: str, status: int) -> None:
    with checks.case(f"{name}: a download that is broken off ends the upstream's, too"):
        id_ = name.replace(" ", "-").replace("/", "-")
        answer = curl(f"/open/endless?id={id_}", "--max-time", "0.5")
        same((answer.code, answer.status), (28, 200))
        eventually(lambda: outcome(status, id_) == "closed", "the upstream's exchange ended")


def many(world: World, proxy: Proxy, checks: Checks) -> None:
    with checks.case("h2c by upgrade: answered over HTTP/1.1, and the upstream is not told"):
        answer = Curl(world, proxy.url, "--http2")("/open/echo")
        same((answer.status, answer.version), (200, "1.1"))
        found = {"upgrade", "http2-settings"} & set(answer.json["headers"])
        same(found, set())
    with checks.case("HTTP/1.1: 200 calls, 50 at a time"):
        done = subprocess.run(
            ["curl", "-sS", "-Z", "--parallel-max", "50", "-o", "/dev/null",
             "-w", "%{http_code}\n", f"{proxy.url}/open/echo/[1-200]"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        same((done.returncode, done.stdout.split()), (0, ["200"] * 200))
    with checks.case("HTTP/1.1: one connection for ten calls, refusals among them"):
        urls = [f"{proxy.url}/open/echo/{at}" for at in range(5)]
        urls += [f"{proxy.url}/closed/{at}" for at in range(5)]
        done = subprocess.run(
            ["curl", "-s", *(word for url in urls for word in ("-o", "/dev/null", url)),
             "-w", "%{http_code} %{num_connects}\n"],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        said = [line.split() for line in done.stdout.splitlines()]
        same([status for status, _ in said], ["200"] * 5 + ["403"] * 5)
        same(sum(int(connections) for _, connections in said), 1, "connections")
    # The curl of Debian 12 fails with any server on its second call over HTTP/2 by prior knowledge.
    with checks.case("HTTP/2: h2load, 2 000 calls on 10 connections, 20 streams each"):
        same(h2load(f"{proxy.url}/open/echo", "-n2000", "-c10", "-m20"), (2000, 2000))
    with checks.case("HTTP/2: h2load, 500 uploads of 100 KB"):
        body = world.file("upload")
        body.write_bytes(pattern(100_000))
        options = ["-n500", "-c5", "-m10", "-d", body, "-H", f"authorization: Bearer {world.token}"]
        same(h2load(f"{proxy.url}/org/{CLIENT}/echo", *options), (500, 500))


def h2load(url: str, *options: str | Path) -> tuple[int, int]:
    """How many succeeded, and how many of these with a status of 2xx."""
    done = subprocess.run(["h2load", *map(str, options), url], capture_output=True, text=True, timeout=60)
    succeeded = re.search(r"(\d+) succeeded", done.stdout)
    status = re.search(r"(\d+) 2xx", done.stdout)
    holds(succeeded and status, f"{done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}")
    assert succeeded and status
    return int(succeeded[1]), int(status[1])


def problem(answer: Answer) -> tuple[int, str]:
    """Status and code of a refusal; it must be the document that the design promises."""
    holds("application/problem+json" in answer.head, f"curl {answer.code}: {answer.head} {answer.notes}")
    same(answer.json["status"], answer.status)
    return answer.status, answer.json["code"]


def notes(said: str) -> str:
    """What curl says of itself, without the heads, which show the token."""
    lines = [line[2:] for line in said.splitlines() if line.startswith("* ") and "h2h3" not in line]
    return "; ".join(lines[-6:])


def outcome(status: int, name: str) -> Any:
    return http_json(f"http://127.0.0.1:{status}/{name}")


def pattern(bytes_: int) -> bytes:
    """What the upstream makes, too: 0, 1, … 250, 0, …"""
    block = bytes(range(251))
    return (block * (bytes_ // 251 + 1))[:bytes_]
