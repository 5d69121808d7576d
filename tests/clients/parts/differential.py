"""Request targets, as Portvakt and as real upstreams understand them.

Each target is sent raw. Where Portvakt forwards it, the upstream answers with the route that it chose, the rule
that it was told, the target as it came and what it captured. All must agree: the route with the rule, the target
with what was sent, the capture with the one decoding of the segment.
"""

from __future__ import annotations

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
from .raw_calls import Connection, Http1, Http2
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
    speak: type[Connection] = Http1


@dataclass(frozen=True)
class Difference:
    """Something that an upstream makes of a target, and Portvakt does not."""

    what: str
    target: bytes
    rule: str
    found: str


def run(world: World, checks: Checks) -> None:
    vectors = VECTORS if VECTORS.is_dir() else None
    tried = targets(world.seed, 50_000 if world.thorough else 4_000, vectors)
    without_a_gate(world, checks, tried[:5000])
    for upstream in UPSTREAMS_TO_TRY:
        with (
            checks.case(f"{upstream.name}: {len(tried)} targets, seed {world.seed}"),
            upstream.start(world) as url,
            world.proxy(url, routes=RULES) as proxy,
        ):
            tell(upstream, *compare(upstream, proxy, tried))


def without_a_gate(world: World, checks: Checks, tried: Sequence[bytes]) -> None:
    """The same targets straight to nginx, read as a careless gate would: what is compared must show."""
    with checks.case("without Portvakt the comparison finds differences"), nginx(world) as url:
        found = 0
        with Http1(int(url.rsplit(":", 1)[1])) as connection:
            for target in tried:
                status, _, body = connection.get(target)
                found += status == 200 and body.split(b"\n", 1)[0] != careless(target)
        print(f"         nginx alone: {found} differences", flush=True)
        holds(found > len(tried) / 100, f"only {found}")


def careless(target: bytes) -> bytes:
    """The rule, by the raw path and nothing else."""
    match target.split(b"?", 1)[0].split(b"/")[1:]:
        case [b""]:
            return b"root"
        case [b"public", b"a"]:
            return b"public-a"
        case [b"public", b"a", b""]:
            return b"public-a-slash"
        case [b"open", b"admin"]:
            return b"admin"
        case [b"open", one] if one:
            return b"open"
        case [b"open", one, b"secret"] if one:
            return b"secret"
        case [b"open", one, b"items", two] if one and two:
            return b"item"
        case [b"encoded", one] if one:
            return b"encoded"
        case [b"closed", _, *_]:
            return b"closed"
        case [b"files", one, *rest] if one or rest:
            return b"files"
        case _:
            return b"none"


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
    with upstream.speak(proxy.port) as connection:
        for target in tried:
            status, refused, body = connection.get(target)
            if refused:
                outcomes["refused"] += 1
            elif status != 200:
                outcomes[f"answered {status} without a document"] += 1
            else:
                outcomes["forwarded"] += 1
                # Over HTTP/2 the library cuts a fragment off; what is left is judged, and sent.
                meant = target if upstream.speak is Http1 else target.split(b"#", 1)[0]
                differences += judge(upstream, meant, body)
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
    Upstream("node, raw, over HTTP/2", program("node", UPSTREAMS / "routes.mjs", "raw"), same_name, speak=Http2),
    Upstream("starlette", lambda world: uvicorn(world, "routes:app"), same_name),
    Upstream(
        "java", program("java", "-Dsun.net.httpserver.nodelay=true", UPSTREAMS / "Routes.java"), context_of, False
    ),
]
