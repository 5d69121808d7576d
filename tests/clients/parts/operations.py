"""What an operator does while requests come: reload, drain, kill, and files of records that are put aside.

Callers keep their connections and ask one thing after the other; every answer must be the right one, and none may be
missing. A connection on which `Connection: close` was said is replaced, as any client does.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.checks import Checks, eventually, holds, same
from harness.process import await_listening, end, free_port
from harness.world import CLIENT, STRANGER, World, http_get, rule

CALLERS = 8
HEAD_END = b"\r\n\r\n"


@dataclass
class Traffic:
    """Callers that ask until they are told to stop."""

    port: int
    token: str
    # A path, and the status it must have.
    asks: list[tuple[str, set[int]]]
    wrong: list[str] = field(default_factory=list)
    right: int = 0
    # Connections that could not be had: nothing was asked.
    unreached: int = 0
    slowest: list[float] = field(default_factory=list)
    # As a load balancer has it that has noticed: who is there stays, nobody comes.
    leaving: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Traffic:
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, number: int) -> None:
        connection: socket.socket | None = None
        while not self._stop.is_set():
            path, expected = self.asks[number % len(self.asks)]
            number += 1
            if connection is None:
                if self.leaving.is_set():
                    return
                try:
                    connection = socket.create_connection(("127.0.0.1", self.port), 10)
                except OSError:
                    self.unreached += 1
                    time.sleep(0.005)
                    continue
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.perf_counter()
            try:
                status, close = self._ask(connection, path)
            except (OSError, ValueError) as fault:
                with self._lock:
                    self.wrong.append(f"{path}: {fault!r}")
                connection.close()
                connection = None
                continue
            with self._lock:
                self.slowest.append(time.perf_counter() - began)
                if status in expected:
                    self.right += 1
                else:
                    self.wrong.append(f"{path}: {status}, expected {expected}")
            if close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _ask(self, connection: socket.socket, path: str) -> tuple[int, bool]:
        request = f"GET {path} HTTP/1.1\r\nHost: api.example.no\r\nAuthorization: Bearer {self.token}\r\n\r\n"
        connection.sendall(request.encode())
        answer = b""
        while HEAD_END not in answer:
            answer += more(connection)
        head, _, body = answer.partition(HEAD_END)
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if not length:
            raise ValueError(head)
        while len(body) < int(length[1]):
            body += more(connection)
        return int(head[9:12]), b"\r\nconnection: close" in head.lower()

    def percentile(self, part: float) -> float:
        ordered = sorted(self.slowest)
        return ordered[int(part * (len(ordered) - 1))]


def more(connection: socket.socket) -> bytes:
    read = connection.recv(65536)
    if not read:
        raise ConnectionError("ended without an answer")
    return read


class Mounted:
    """A folder as the kubelet mounts a ConfigMap: every name is a link through `..data`, which is swapped at once."""

    def __init__(self, root: Path) -> None:
        self.root, self.version = root, 0
        root.mkdir(parents=True)

    def swap(self, files: dict[str, str]) -> None:
        former, self.version = self.version, self.version + 1
        version = self.root / f"..v{self.version}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
        (self.root / "..tmp").symlink_to(version.name)
        (self.root / "..tmp").rename(self.root / "..data")
        for name in files:
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(Path("..data") / name)
        for link in self.root.iterdir():
            if link.is_symlink() and not link.exists():
                link.unlink()
        if former:
            for file in (self.root / f"..v{former}").iterdir():
                file.unlink()
            (self.root / f"..v{former}").rmdir()


ASKS = {"resource": "ske-mva-melding", "action": "write", "scopes": "none"}


def rules(number: int) -> dict[str, str]:
    """Version `number` of the rules. `turn` is there in the odd ones alone."""
    own = [rule("company", "/org/{orgnr}/{*rest}", party="path:orgnr", object="upstream", **ASKS)]
    if number % 2:
        own.append(rule("turn", "/open/echo", protection="public"))
    return {"it.yaml": json.dumps({"api": "it", "rules": own})}


class Program:
    """A `serve` that can be signalled, over files that change."""

    def __init__(self, world: World, upstream: str, **sections: object) -> None:
        self.port, self.admin, self.log = free_port(), free_port(), world.file("operated.log")
        folder = world.file("operated")
        self.mounted = Mounted(folder / "policies/routes")
        self.mounted.swap(rules(0))
        issuer = f"http://127.0.0.1:{world.issuer}/"
        metadata = f"{issuer}.well-known/oauth-authorization-server"
        configuration = {
            "environment": "local",
            "server": {"listen": [f"127.0.0.1:{self.port}"]},
            "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "upstream": {"url": upstream},
            "tokens": {"issuers": [{"kind": "maskinporten", "issuer": issuer, "metadata_url": metadata}]},
            "pdp": {"kind": "altinn", "url": f"http://127.0.0.1:{world.pdp}", "credential": {"none": True}},
            "policies": "policies",
            "shutdown": {"wait": "1s", "grace": "10s"},
            "log": {"decisions": "off", "level": "warn"},
        } | sections
        self.file = folder / "portvakt.yaml"
        self.file.write_text(json.dumps(configuration))
        self.command = [world.binary, "serve", "--config", self.file]
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            process = subprocess.Popen(self.command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        await_listening(process, self.port, self.log)
        eventually(lambda: self.probe()[0] == 200, "ready", 20)
        return process

    def probe(self) -> tuple[int, bytes]:
        try:
            return http_get(f"http://127.0.0.1:{self.admin}/health/ready")
        except OSError:
            return 0, b""

    def metric(self, series: str) -> int:
        text = http_get(f"http://127.0.0.1:{self.admin}/metrics")[1].decode()
        found = re.search(rf"^{re.escape(series)} (\d+)$", text, re.MULTILINE)
        return int(found[1]) if found else 0


@contextmanager
def operated(world: World, **sections: object) -> Iterator[Program]:
    with world.node() as (upstream, _):
        program = Program(world, upstream, **sections)
        try:
            yield program
        finally:
            end(program.process)


def run(world: World, checks: Checks) -> None:
    fixed = [(f"/org/{CLIENT}/echo", {200}), (f"/org/{STRANGER}/echo", {403}), ("/nowhere", {404})]
    with (
        checks.case("reload: 10 000 requests across 100 reloads, none wrong and none missing"),
        operated(world) as program,
    ):
        reload_under_load(world, program, [*fixed, ("/open/echo", {200, 404})])
    with checks.case("drain: whatever was asked is answered, and the end is in order"), operated(world) as program:
        drain_under_load(world, program, fixed)
    with checks.case("kill -9 and a new start: served again, and no line of records is torn"):
        killed(world, fixed)
    with checks.case("files of records that are put aside under load lose no line"):
        rotated(world, fixed)
    with checks.case("records as documents of the Elastic Common Schema, which `replay` reads as well"):
        documents(world, fixed)


def reload_under_load(world: World, program: Program, asks: list[tuple[str, set[int]]]) -> None:
    generation = 'portvakt_state{what="generation"}'
    with Traffic(program.port, world.token, asks[:3]) as before:
        eventually(lambda: before.right >= 2000, "requests without reloads", 60)
    with Traffic(program.port, world.token, asks) as traffic:
        for number in range(1, 101):
            program.mounted.swap(rules(number))
            program.process.send_signal(signal.SIGHUP)
            eventually(lambda number=number: program.metric(generation) == number + 1, f"generation {number + 1}")
            # From now on it is the new rules that count, for everybody.
            same(http_get(f"http://127.0.0.1:{program.port}/open/echo")[0], 200 if number % 2 else 404)
        eventually(lambda: traffic.right >= 10_000, "10 000 requests", 120)
    same(traffic.wrong[:5], [])
    same(traffic.unreached, 0)
    same(program.metric('portvakt_reloads_total{outcome="taken"}'), 100)
    same(program.metric('portvakt_reloads_total{outcome="refused"}'), 0)
    alone, among = before.percentile(0.99), traffic.percentile(0.99)
    print(f"         {traffic.right} right; p99 {1000 * alone:.2f} ms before, {1000 * among:.2f} ms among reloads")


def drain_under_load(world: World, program: Program, asks: list[tuple[str, set[int]]]) -> None:
    with Traffic(program.port, world.token, asks) as traffic:
        eventually(lambda: traffic.right >= 1000, "requests", 60)
        program.process.send_signal(signal.SIGTERM)
        eventually(lambda: program.probe() == (503, b"draining\n"), "unready", 5)
        before = traffic.right
        eventually(lambda: traffic.right > before + CALLERS, "requests that are served all the same", 5)
        traffic.leaving.set()
        same(program.process.wait(20), 0)
    same(traffic.wrong[:5], [])


def killed(world: World, asks: list[tuple[str, set[int]]]) -> None:
    records = world.file("records")
    log = {"decisions": str(records), "level": "warn"}
    with operated(world, log=log) as program:
        for _ in range(3):
            with Traffic(program.port, world.token, asks) as traffic:
                eventually(lambda traffic=traffic: traffic.right >= 500, "requests", 60)
                program.process.send_signal(signal.SIGKILL)
                program.process.wait()
            program.process = program.start()
        with Traffic(program.port, world.token, asks) as traffic:
            eventually(lambda: traffic.right >= 500, "requests", 60)
        same(traffic.wrong[:5], [])
        end(program.process)
        whole = unreadable = 0
        for line in records.read_bytes().splitlines():
            try:
                json.loads(line)
                whole += 1
            except ValueError:
                unreadable += 1
        # At most what each kill cut off, on a line of its own.
        holds(unreadable <= 3 and whole > 1500, f"{whole} whole, {unreadable} torn")


def rotated(world: World, asks: list[tuple[str, set[int]]]) -> None:
    records = world.file("records")
    log = {"decisions": str(records), "rotate": {"max_bytes": "256KiB", "keep": 100}, "level": "warn"}
    with operated(world, log=log) as program:
        with Traffic(program.port, world.token, asks) as traffic:
            eventually(lambda: traffic.right >= 4000, "requests", 120)
        same(traffic.wrong[:5], [])
        same(program.metric("portvakt_records_lost_total"), 0)
        end(program.process)
    files = sorted(records.parent.glob(f"{records.name}*"))
    holds(len(files) > 3, f"{len(files)} files")
    lines = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    same(len({line["requestId"] for line in lines}), len(lines))
    same(len(lines), traffic.right)
    holds(all(file.stat().st_size <= 256 * 1024 for file in files), "larger than it may be")


def documents(world: World, asks: list[tuple[str, set[int]]]) -> None:
    records = world.file("records")
    with operated(world, log={"decisions": str(records), "record_schema": "ecs", "level": "warn"}) as program:
        with Traffic(program.port, world.token, asks) as traffic:
            eventually(lambda: traffic.right >= 100, "requests", 60)
        same(traffic.wrong[:5], [])
        end(program.process)
    lines = [json.loads(line) for line in records.read_bytes().splitlines()]
    same(len(lines), traffic.right)
    told = {(line["message"], *line["event.type"], line["http.response.status_code"]) for line in lines}
    company = "GET /org/{orgnr}/{*rest}"
    expected = {
        (f"{company} forwarded", "access", "allowed", 200),
        (f"{company} refused: access-denied", "access", "denied", 403),
        ("GET (no rule) refused: route-unknown", "access", "denied", 404),
    }
    same(told, expected)
    command = [world.binary, "replay", "--config", program.file, records]
    replayed = subprocess.run(command, capture_output=True, text=True, check=True)
    holds(f"{len(lines)} records: 0 would end otherwise" in replayed.stdout, replayed.stdout)
