"""Request targets, as Portvakt and as real upstreams understand them.

Each target is sent raw. Where Portvakt forwards it, the upstream answers with the route that it chose, the rule
that it was told, the target as it came and what it captured. All must agree: the route with the rule, the target
with what was sent, the capture with the one decoding of the segment.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from harness.checks import Checks, holds, short
from harness.process import free_port, running
from harness.world import ROOT, UPSTREAMS, Proxy, World, rule

from .nginx import started
from .targets import targets
from .uvicorn_server import uvicorn

VECTORS = ROOT.parent / "shared" / "vectors"
CONNECTIONS = 4

RULES = {
    "api": "differential",
    "rules": [
        rule("root", "/", protection="public"),
        rule("public-a", "/public/a", protection="public"),
        rule("public-a-slash", "/public/a/", protection="public"),
        rule("admin", "/open/admin", protection="closed"),
        rule("open", "/open/{id}", protection="public"),
        rule("secret", "/open/{id}/secret", protection="closed"),
        rule("item", "/open/{id}/items/{item}", protection="public"),
        rule("encoded", "/encoded/{id}", protection="public", encoded_slashes=["id"]),
        rule("closed", "/closed/{*rest}", protection="closed"),
        rule("files", "/files/{*id}", protection="public"),
    ],
}
# The segments that a rule captures: from one, to one.
CAPTURES = {"open": (2, 3), "item": (2, 3), "encoded": (2, 3), "files": (2, None)}


@dataclass(frozen=True)
class Upstream:
    """One that chooses routes, and what its choice is called for a rule."""

    name: str
    start: Callable[[World], object]
    route_of: Callable[[str], str]
    # Whether its capture is that of the rule.
    captures: bool = True


@dataclass(frozen=True)
class Difference:
    """Something that an upstream makes of a target, and Portvakt does not."""

    what: str
    target: bytes
    rule: str
    found: str


def run(world: World, checks: Checks) -> None:
    vectors = VECTORS if VECTORS.is_dir() else None
    tried = targets(world.seed, 50_000 if world.thorough else 5_000, vectors)
    for upstream in UPSTREAMS_TO_TRY:
        with (
            checks.case(f"{upstream.name}: {len(tried)} targets, seed {world.seed}"),
            upstream.start(world) as url,
            world.proxy(url, routes=RULES) as proxy,
        ):
            tell(upstream, *compare(upstream, proxy, tried))


def tell(upstream: Upstream, outcomes: Counter[str], differences: list[Difference]) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    known = [difference for difference in differences if reason_for(upstream, difference)]
    print(f"         {upstream.name}: {counts}; {len(known)} known differences", flush=True)
    new = [difference for difference in differences if not reason_for(upstream, difference)]
    for difference in new[:50]:
        print(f"         {difference.what}: {difference.target!r}, rule {difference.rule}, {difference.found}")
    holds(outcomes["forwarded"] * 5 > outcomes.total(), f"too few are forwarded to say anything: {counts}")
    holds(not new, f"{len(new)} differences")


def reason_for(upstream: Upstream, difference: Difference) -> str | None:
    """Differences that are documented in docs/THREATS.md, "What upstreams make of a target"."""
    if difference.rule == "encoded" and b"%2f" in difference.target.lower():
        return "`encoded_slashes` says that the upstream keeps them apart; these do not"
    if upstream.name == "java" and difference.found == "route admin":
        return "contexts of the JDK are prefixes of strings: that of `/open/admin` takes `/open/admin_`, too"
    return None


def compare(upstream: Upstream, proxy: Proxy, tried: Sequence[bytes]) -> tuple[Counter[str], list[Difference]]:
    shares = [tried[at::CONNECTIONS] for at in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        done = list(pool.map(lambda share: compare_share(upstream, proxy, share), shares))
    outcomes = sum((counts for counts, _ in done), Counter())
    return outcomes, [difference for _, differences in done for difference in differences]


def compare_share(upstream: Upstream, proxy: Proxy, tried: Sequence[bytes]) -> tuple[Counter[str], list[Difference]]:
    outcomes, differences = Counter[str](), []
    with Connection(proxy.port) as connection:
        for target in tried:
            status, refused, body = connection.get(target)
            if refused:
                outcomes["refused"] += 1
            elif status != 200:
                outcomes[f"answered {status} without a document"] += 1
            else:
                outcomes["forwarded"] += 1
                differences += judge(upstream, target, body)
    return outcomes, differences


def judge(upstream: Upstream, target: bytes, body: bytes) -> Iterator[Difference]:
    route, rule_, seen, capture = body.split(b"\n", 3)
    name = rule_.decode()
    if route.decode() != upstream.route_of(name):
        yield Difference("route", target, name, f"route {route.decode()}")
    # Starlette cannot tell `/a?` from `/a`, and gives its target in pieces.
    if seen.removesuffix(b"?") != target.removesuffix(b"?"):
        yield Difference("target", target, name, f"the upstream saw {short(seen)}")
    expected = captured(name, target)
    if upstream.captures and expected is not None and capture != expected:
        yield Difference("capture", target, name, f"captured {short(capture)}, not {short(expected)}")


def captured(name: str, target: bytes) -> bytes | None:
    """What the rule captures: whole segments, decoded once."""
    if name not in CAPTURES:
        return None
    first, last = CAPTURES[name]
    return unquote_to_bytes(b"/".join(target.split(b"?", 1)[0].split(b"/")[first:last]))


class Connection:
    """A raw connection that is opened anew when it was closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket: socket.socket | None = None
        self.buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.socket:
            self.socket.close()
        self.socket, self.buffer = None, b""

    def get(self, target: bytes) -> tuple[int, bool, bytes]:
        """Status, whether Portvakt itself answered, and the body."""
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: api\r\n\r\n")
        head = self.read_head()
        lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
        body = self.read_body(fields)
        if fields.get(b"connection") == b"close":
            self.close()
        status = int(lines[0].split()[1])
        # A refusal without an `instance` is none of ours.
        return status, fields.get(b"content-type") == b"application/problem+json", body

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self.buffer:
            self.receive()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head

    def read_body(self, fields: dict[bytes, bytes]) -> bytes:
        if fields.get(b"transfer-encoding") == b"chunked":
            return b"".join(self.read_chunks())
        return self.take(int(fields.get(b"content-length", b"0")))

    def read_chunks(self) -> Iterator[bytes]:
        while True:
            while b"\r\n" not in self.buffer:
                self.receive()
            size, self.buffer = self.buffer.split(b"\r\n", 1)
            chunk = self.take(int(size, 16) + 2)
            if int(size, 16) == 0:
                return
            yield chunk[:-2]

    def take(self, bytes_: int) -> bytes:
        while len(self.buffer) < bytes_:
            self.receive()
        taken, self.buffer = self.buffer[:bytes_], self.buffer[bytes_:]
        return taken

    def receive(self) -> None:
        assert self.socket
        received = self.socket.recv(65536)
        if not received:
            raise EOFError(f"closed amid an answer: {self.buffer!r}")
        self.buffer += received


@contextmanager
def nginx(world: World) -> Iterator[str]:
    folder, port = world.file("nginx"), free_port()
    folder.mkdir()
    with started(world, "routes.conf", folder, port, {"FOLDER": folder, "PORT": port}) as url:
        yield url


def program(*command: str | Path) -> Callable[[World], object]:
    @contextmanager
    def start(world: World) -> Iterator[str]:
        port = free_port()
        with running([*command, str(port)], log=world.file("routes.log"), listens=port):
            yield f"http://127.0.0.1:{port}"

    return start


def context_of(rule_: str) -> str:
    """The JDK knows prefixes only."""
    return {"public-a-slash": "public-a", "secret": "open", "item": "open"}.get(rule_, rule_)


def same_name(rule_: str) -> str:
    return rule_


UPSTREAMS_TO_TRY = [
    Upstream("nginx", nginx, same_name),
    Upstream("node, raw", program("node", UPSTREAMS / "routes.mjs", "raw"), same_name),
    Upstream("node, new URL", program("node", UPSTREAMS / "routes.mjs", "whatwg"), same_name),
    Upstream("starlette", lambda world: uvicorn(world, "routes:app"), same_name),
    Upstream(
        "java", program("java", "-Dsun.net.httpserver.nodelay=true", UPSTREAMS / "Routes.java"), context_of, False
    ),
]
