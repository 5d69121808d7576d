"""Portvakt in front of an upstream, and what stands around it: issuer, PDP, rules, tokens.

The issuer and the PDP run once for all parts; each part starts as many proxies as it needs.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import certificates
from .checks import eventually
from .process import free_port, running, tail

ROOT = Path(__file__).resolve().parents[3]
UPSTREAMS = Path(__file__).resolve().parents[1] / "upstreams"

# The accountant's system user in `policies/directory.yaml`, a client of its, and a stranger.
OWNER, CLIENT, STRANGER = "314242726", "312714051", "313750531"
SCOPE = "skatteetaten:mvameldinginnsending"
# gRPC names no party in its path: the rule reads it from the metadata.
PARTY_HEADER = "party"


@dataclass(frozen=True)
class Proxy:
    """A running Portvakt."""

    port: int
    admin: int
    scheme: str
    socket: Path | None
    log: Path

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@dataclass
class World:
    """One run: its folder, its tokens, and how much is to be done."""

    binary: Path
    folder: Path
    thorough: bool
    seed: int
    certificates: certificates.Certificates
    issuer: int
    pdp: int
    token: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def file(self, name: str) -> Path:
        """A path that no other part uses."""
        return self.folder / f"{next(self._numbers)}-{name}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    @contextmanager
    def proxy(
        self,
        upstream: str,
        /,
        *,
        routes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        tls: bool = False,
        socket: bool = False,
        variables: Mapping[str, str] | None = None,
        **sections: Mapping[str, Any],
    ) -> Iterator[Proxy]:
        """Portvakt before `upstream`, a URL.

        `routes` is one file of rules, or several. `sections` are merged into those of the configuration.
        """
        port, admin = free_port(), free_port()
        path = self.file("portvakt.sock") if socket else None
        server: dict[str, Any] = {"listen": [f"127.0.0.1:{port}"]}
        if path:
            server["listen"].append(f"unix:{path}")
        if tls:
            made = self.certificates
            server["tls"] = {"certificate_file": str(made.certificate), "key_file": str(made.key)}
        issuer = f"http://127.0.0.1:{self.issuer}/"
        configuration: dict[str, Any] = {
            "environment": "local",
            "server": server,
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "upstream": {"url": upstream},
            "tokens": {
                "issuers": [
                    {
                        "kind": "maskinporten",
                        "issuer": issuer,
                        "metadata_url": f"{issuer}.well-known/oauth-authorization-server",
                    }
                ]
            },
            "pdp": {"kind": "altinn", "url": f"http://127.0.0.1:{self.pdp}", "credential": {"none": True}},
            "policies": str(self._policies(routes or RULES)),
            "shutdown": {"wait": "0s", "grace": "2s"},
            "log": {"decisions": "off", "level": "warn"},
        }
        for name, section in sections.items():
            configuration[name] = configuration.get(name, {}) | section
        # JSON is YAML.
        file, log = self.file("portvakt.yaml"), self.file("portvakt.log")
        file.write_text(json.dumps(configuration, indent=2))
        command = [self.binary, "serve", "--config", file]
        with running(command, log=log, listens=port, environment=variables):
            proxy = Proxy(port, admin, "https" if tls else "http", path, log)
            await_ready(proxy)
            yield proxy

    def _policies(self, routes: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Path:
        policies = self.file("policies")
        (policies / "routes").mkdir(parents=True)
        for api in [routes] if isinstance(routes, Mapping) else routes:
            (policies / "routes" / f"{api['api']}.yaml").write_text(json.dumps(api, indent=2))
        return policies

    @contextmanager
    def node(self, mode: str = "http") -> Iterator[tuple[str, int]]:
        """The upstream in Node: its URL for Portvakt, and a port of plain HTTP for its own status."""
        port, status = free_port(), free_port()
        path = self.file("node.sock")
        listens: int | Path = path if mode == "unix" else port
        made = self.certificates
        command = ["node", UPSTREAMS / "node.mjs", mode, str(listens), str(status), made.certificate, made.key]
        urls = {
            "http": f"http://127.0.0.1:{port}",
            "h2c": f"h2c://127.0.0.1:{port}",
            "https": f"https://localhost:{port}",
            "unix": f"unix:{path}",
        }
        with running(command, log=self.file("node.log"), listens=listens):
            yield urls[mode], status


def await_ready(proxy: Proxy) -> None:
    def ready() -> bool:
        try:
            return http_get(f"http://127.0.0.1:{proxy.admin}/health/ready")[0] == 200
        except OSError:
            return False

    eventually(ready, f"ready: {tail(proxy.log)}", 20)


def http_get(url: str) -> tuple[int, bytes]:
    """Status and body, by a client that no part is about."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def http_json(url: str) -> Any:
    return json.loads(http_get(url)[1])


@contextmanager
def begin(binary: Path, folder: Path, *, thorough: bool, seed: int) -> Iterator[World]:
    """Starts the issuer and the PDP, and fetches a token that outlives the run."""
    policies, keys = folder / "directory", folder / "keys"
    shutil.copytree(ROOT / "policies", policies)
    issuer, pdp = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(
            running(
                [binary, "issuer", "--policies", policies, "--listen", f"127.0.0.1:{issuer}",
                 "--keys", keys, "--lifetime", "3600"],
                log=folder / "issuer.log", listens=issuer,
            )
        )  # fmt: skip
        stack.enter_context(
            running(
                [binary, "pdp", "--policies", policies, "--listen", f"127.0.0.1:{pdp}",
                 "--control", "none", "--open"],
                log=folder / "pdp.log", listens=pdp,
            )
        )  # fmt: skip
        made = certificates.make(folder / "certificates")
        token = mint(binary, issuer, keys)
        yield World(binary, folder, thorough, seed, made, issuer, pdp, token)


def mint(binary: Path, issuer: int, keys: Path) -> str:
    key = keys / "smartcloud.pem"
    # Written after the issuer listens.
    eventually(key.exists, f"the issuer writes `{key}`", 30)
    command = [
        binary, "token", "mint", "--issuer", f"http://127.0.0.1:{issuer}/",
        "--client", "smartcloud", "--key", key,
        "--owner", OWNER, "--external-ref", "regnskap", "--scope", SCOPE,
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def rule(name: str, path: str, *, method: Any = "any", **keys: Any) -> dict[str, Any]:
    return {"id": name, "match": {"method": method, "path": path}, **keys}


# What most parts use: an address that is open, one that Altinn decides, one whose body is judged, one for
# gRPC, two for WebSockets, and one that is closed.
ASKS = {"resource": "ske-mva-melding", "action": "write", "scopes": [SCOPE]}
RULES: dict[str, Any] = {
    "api": "clients",
    "rules": [
        rule("open", "/open/{*rest}", protection="public"),
        rule("company", "/org/{orgnr}/{*rest}", party="path:orgnr", object="upstream", **ASKS),
        rule("judged-body", "/judged", method="POST", party="json:/orgnr", **ASKS),
        rule("closed", "/closed/{*rest}", protection="closed"),
        rule(
            "grpc", "/portvakt.test.Echo/{method}", method="POST",
            party=f"header:{PARTY_HEADER}", object="upstream", **ASKS,
        ),
    ],
}  # fmt: skip
SOCKET_RULES: dict[str, Any] = {
    "api": "clients",
    "rules": [
        *RULES["rules"],
        rule("socket", "/socket/{orgnr}", method="GET", party="path:orgnr", upgrade=["websocket"], **ASKS),
        rule("open-socket", "/open-socket", method="GET", protection="public", upgrade=["websocket"]),
    ],
}
