"""Brings about each fault of the table "Where it shows" of docs/OPERATIONS.md, and finds its signs where the page says.

The table is read from the page: a row that nothing here brings about is wrong, as is a sign that does not show.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from browser import Browser

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "clients"))
sys.dont_write_bytecode = True

from harness import certificates  # noqa: E402
from harness.process import await_listening, end, free_port, running  # noqa: E402
from harness.world import CLIENT, http_get, mint, rule  # noqa: E402

ASKS = {"resource": "ske-mva-melding", "action": "write", "scopes": "none"}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def table() -> list[tuple[str, str, str, str]]:
    text = (ROOT / "docs/OPERATIONS.md").read_text().split("### Where it shows")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    return [(row[0], row[1], *(cell.strip("`") for cell in row[2:4])) for row in rows[2:]]  # type: ignore[misc]


class Place:
    """Issuer, PDP, API and Portvakt, with everything that can be taken from them."""

    def __init__(self, binary: Path, folder: Path, stack: ExitStack) -> None:
        self.binary, self.folder, self.stack = binary, folder, stack
        policies = folder / "policies"
        shutil.copytree(ROOT / "policies", folder / "world")
        (policies / "routes").mkdir(parents=True)
        self.rules = policies / "routes/it.yaml"
        own = rule("company", "/org/{orgnr}/{*rest}", party="path:orgnr", object="upstream", cache="off", **ASKS)
        self.rules.write_text(json.dumps({"api": "it", "rules": [own]}))
        self.token_file = folder / "token"
        self.token_file.write_text("a.b.c")
        self.certificates = certificates.make(folder / "certificates")
        self.issuer, self.issuer_port = self.serve("issuer", "--lifetime", "3600", "--keys", folder / "keys")
        self.pdp, self.pdp_port = self.serve("pdp", "--control", "none", "--open")
        self.token = mint(binary, self.issuer_port, folder / "keys")
        self.api = api("127.0.0.1")
        self.port, self.admin, self.control = free_port(), free_port(), free_port()
        issuer = f"http://127.0.0.1:{self.issuer_port}/"
        metadata = f"{issuer}.well-known/oauth-authorization-server"
        pair = self.certificates
        configuration = {
            "environment": "local",
            "server": {
                "listen": [f"127.0.0.1:{self.port}"],
                "tls": {"certificate_file": str(pair.certificate), "key_file": str(pair.key)},
            },
            "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "control": {"listen": f"127.0.0.1:{self.control}", "token": "0123456789abcdef"},
            "upstream": {"url": f"http://127.0.0.1:{self.api.getsockname()[1]}"},
            "tokens": {
                "issuers": [{"kind": "maskinporten", "issuer": issuer, "metadata_url": metadata}],
                "keys": {"refresh": "1s", "refresh_min_interval": "1s"},
            },
            "pdp": {
                "kind": "altinn",
                "url": f"http://127.0.0.1:{self.pdp_port}",
                "credential": {"token_file": str(self.token_file)},
            },
            "policies": "policies",
            "shutdown": {"wait": "0s", "grace": "2s"},
            "log": {"decisions": "off", "format": "json"},
        }
        (folder / "portvakt.yaml").write_text(json.dumps(configuration))
        self.log = folder / "portvakt.log"
        command = [binary, "serve", "--config", folder / "portvakt.yaml"]
        stack.enter_context(running(command, log=self.log, listens=self.port))

    def serve(self, name: str, *arguments: object) -> tuple[subprocess.Popen[bytes], int]:
        port = free_port()
        command = [self.binary, name, "--policies", self.folder / "world", "--listen", f"127.0.0.1:{port}", *arguments]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        self.stack.callback(end, process)
        await_listening(process, port, self.folder / f"{name}.log")
        return process, port

    def call(self) -> None:
        """A request whose outcome does not matter here."""
        url = f"https://localhost:{self.port}/org/{CLIENT}/x"
        trust = ["--cacert", str(self.certificates.authority), "--resolve", f"localhost:{self.port}:127.0.0.1"]
        command = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-m",
            "10",
            *trust,
            "-H",
            f"Authorization: Bearer {self.token}",
            url,
        ]
        subprocess.run(command, check=False)

    def metrics(self) -> str:
        return http_get(f"http://127.0.0.1:{self.admin}/metrics")[1].decode()


def api(address: str) -> socket.socket:
    listener = socket.create_server((address, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(ANSWER)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def replace_api(place: Place) -> None:
    """The same port, for everybody."""
    port = place.api.getsockname()[1]
    place.api.shutdown(socket.SHUT_RDWR)
    place.api.close()
    place.api = socket.create_server(("0.0.0.0", port))


FAULTS: dict[str, Callable[[Place], None]] = {
    "the PDP is gone": lambda place: end(place.pdp),
    "the issuer is gone": lambda place: end(place.issuer),
    "our own token cannot be fetched": lambda place: place.token_file.write_text("not one token"),
    "a rule file has an error": lambda place: place.rules.write_text("api: it\nrules: [{ id: half }]\n") and None,
    "the certificate is replaced by a broken one": lambda place: (
        place.certificates.certificate.write_text("none") and None
    ),
    "the API listens for everybody": replace_api,
}


def shows(place: Place, browser: Browser, metric: str, log: str, page: str) -> None:
    """Waits for all three signs."""
    found = re.fullmatch(r"`(\w+)(?:\{([^}]+)\})?` (above 0|0)", metric)
    assert found, f"the page says no metric: {metric}"
    name, label, wanted = found.groups()
    labels = rf"\{{(?:[^}}]*,)?{label}[^}}]*\}}" if label else ""
    series = re.compile(rf"^{name}{labels} (\S+)$", re.MULTILINE)

    def has_metric() -> bool:
        values = [float(number) for number in series.findall(place.metrics())]
        return bool(values) and (max(values) > 0) == (wanted == "above 0")

    signs = {
        metric: has_metric,
        f"log: {log}": lambda: log in place.log.read_text(),
        f"page: {page}": lambda: page in browser.run("return document.getElementById('findings-list').innerText"),
    }
    until = time.monotonic() + 60
    while missing := [sign for sign, shows in signs.items() if not shows()]:
        assert time.monotonic() < until, f"not shown: {missing}"
        place.call()
        time.sleep(0.2)


def check(binary: Path, browser: Browser, row: tuple[str, str, str, str]) -> None:
    fault, metric, log, page = row
    bring_about = FAULTS[fault]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Place(binary, Path(folder), stack)
        browser.open(f"http://127.0.0.1:{place.control}/")
        browser.until("the page", "return document.getElementById('summary').innerText.startsWith('ready')")
        place.call()
        said = browser.run("return document.getElementById('findings-list').innerText")
        assert page not in said and log not in place.log.read_text(), f"told before: {said}"
        bring_about(place)
        shows(place, browser, metric, log, page)


def run(binary: Path, browser: Browser) -> int:
    wrong = 0
    rows = table()
    for row in rows:
        try:
            check(binary, browser, row)
            print(f"right  {row[0]}: metric, log and page say so", flush=True)
        except (AssertionError, RuntimeError, KeyError) as fault:
            wrong += 1
            print(f"WRONG  {row[0]}: {fault}", flush=True)
    if len(rows) < 5:
        wrong += 1
        print("WRONG  the page has fewer than five faults")
    return wrong
