"""What docs/OPERATIONS.md says of Kubernetes, done as it stands there, to a Deployment that knows nothing of it.

The kustomization and the commands are taken out of the page; only addresses of the published files become those of
this clone. The containers of the pod then run side by side in one network namespace: the API's stand-in, and the
program by the arguments, variables and files that the manifest gives it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = ROOT / "docs/OPERATIONS.md"


def blocks(heading: str) -> list[tuple[str, str]]:
    """Language and text of each block of code below a heading."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def kustomization(here: Path) -> str:
    """The first block, with the published files where this clone has them."""
    text = next(text for language, text in blocks("Kubernetes") if language == "yaml")

    def local(found: re.Match[str]) -> str:
        return os.path.relpath(ROOT / found[1], here)

    return re.sub(r"https://github\.com/portvakt/portvakt//([\w/-]+)\?ref=v[\d.]+", local, text)


def command(beginning: str) -> list[str]:
    """The words of a command of the page, with what `$( … )` in it gives."""
    text = "\n".join(text for language, text in blocks("Kubernetes") if language == "sh").replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.startswith(beginning))
    given = re.sub(
        r"\$\((.*?)\)",
        lambda found: subprocess.run(shlex.split(found[1]), check=True, capture_output=True, text=True).stdout.strip(),
        line,
    )
    return shlex.split(given)


def secret(here: Path) -> dict:
    """`kubectl create secret …`, as written but for the cluster."""
    (here / "client.jwk").write_text(json.dumps(jwk()))
    (here / "subscription-key").write_text("0" * 32)
    asked = [*command("kubectl create secret"), "--dry-run=client", "--output=yaml"]
    made = subprocess.run(asked, cwd=here, capture_output=True, text=True)
    if made.returncode != 0:
        raise RuntimeError(made.stderr)
    return yaml.safe_load(made.stdout)


def jwk() -> dict[str, str]:
    """A key of a client, made for this run."""
    key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
    der = subprocess.run(
        ["openssl", "rsa", "-traditional", "-outform", "DER"], input=key, check=True, capture_output=True
    )
    numbers = integers(der.stdout)[1:9]
    text = [base64.urlsafe_b64encode(number.lstrip(b"\0")).rstrip(b"=").decode() for number in numbers]
    return {"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256"} | dict(
        zip(("n", "e", "d", "p", "q", "dp", "dq", "qi"), text, strict=True)
    )


def integers(der: bytes) -> list[bytes]:
    """Those of one SEQUENCE (ITU-T X.690)."""

    def element(at: int) -> tuple[int, int]:
        length, at = der[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(der[at : at + count]), at + count
        return at, length

    at, _ = element(0)
    found = []
    while at < len(der):
        start, length = element(at)
        found.append(der[start : start + length])
        at = start + length
    return found


def prepare(here: Path) -> list[dict]:
    """The folder that the page describes, rendered as `kubectl apply -k .` would."""
    (here / "deployment.yaml").write_text((HERE / "deployments/plain.yaml").read_text())
    (here / "routes").mkdir()
    (here / "routes/vat.yaml").write_text((ROOT / "k8s/examples/sidecar/routes/vat.yaml").read_text())
    (here / "kustomization.yaml").write_text(kustomization(here))
    assert command("kubectl apply") == ["kubectl", "apply", "-k", "."], command("kubectl apply")
    made = subprocess.run(["kubectl", "kustomize", str(here)], capture_output=True, text=True)
    if made.returncode != 0:
        raise RuntimeError(made.stderr)
    return [document for document in yaml.safe_load_all(made.stdout) if document]


def begins(binary: Path, documents: list[dict], given: dict) -> str:
    """Runs the sidecar of the first Deployment beside an API, alone with it in a network; gives what went wrong."""
    pod = next(one for one in documents if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    sidecar = next(one for one in pod["initContainers"] if one["name"] == "portvakt")
    maps = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    secrets = {key: base64.b64decode(value).decode() for key, value in given["data"].items()}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for mount in sidecar["volumeMounts"]:
            volume = next(one for one in pod["volumes"] if one["name"] == mount["name"])
            files = maps[volume["configMap"]["name"]] if "configMap" in volume else projected(volume, secrets)
            folder = root / mount["mountPath"].lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                # In a container these stand at the root.
                (folder / name).write_text(text.replace("/run/secrets/", f"{root}/run/secrets/"))
        variables = {
            one["name"]: one.get("value") or secrets[one["valueFrom"]["secretKeyRef"]["key"]] for one in sidecar["env"]
        }
        arguments = [f"{root}{word}" if word.startswith("/") else word for word in sidecar["args"]]
        probes = {name: sidecar[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
        task = {"binary": str(binary), "arguments": arguments, "variables": variables, "probes": probes}
        alone = ["unshare", "--net", sys.executable, str(HERE / "beside.py"), json.dumps(task)]
        ran = subprocess.run(alone, capture_output=True, text=True, timeout=120)
        return "" if ran.returncode == 0 else f"{ran.stdout}{ran.stderr}"


def projected(volume: dict, secrets: dict[str, str]) -> dict[str, str]:
    items = [item for source in volume["projected"]["sources"] for item in source["secret"]["items"]]
    return {item["path"]: secrets[item["key"]] for item in items}
