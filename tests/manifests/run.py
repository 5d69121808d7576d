"""Renders and judges everything below `k8s/`.

* Every kustomization renders; every document of Kubernetes itself is valid, strictly, by the schemas of KUBERNETES.
* The configuration and rules in it are sound: `portvakt check` says so.
* A linter of policies finds nothing that is not allowed with a reason (`policies.py`).
* What docs/OPERATIONS.md says can be done as it stands there (`page.py`), and what comes of it starts.
* The sidecar is put into Deployments that know nothing of it (`deployments/`), and leaves what was there as it was.
* The alert rules are sound, fire when they should, and not when they should not; the metrics are named as Prometheus
  wants it,
  and what alerts and dashboard ask about is there.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import kubernetes_validate
import page
import yaml

import policies

# The oldest in which `preStop: sleep` is on by default.
KUBERNETES = "1.30"
# Of others, whose schemas are not at hand.
OTHERS = {
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "nais.io/v1alpha1/Application",
    "skiperator.kartverket.no/v1alpha1/Application",
}
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
K8S = ROOT / "k8s"
FAULTS: list[str] = []
DONE = 0


def check(what: str, sound: bool, detail: str = "") -> None:
    global DONE
    DONE += 1
    if not sound:
        FAULTS.append(f"{what}: {detail}" if detail else what)


def render(folder: Path) -> list[dict]:
    command = ["kubectl", "kustomize", "--load-restrictor", "LoadRestrictionsRootOnly", str(folder)]
    rendered = subprocess.run(command, capture_output=True, text=True)
    if rendered.returncode != 0:
        check(f"{folder.name} renders", False, rendered.stderr.strip())
        return []
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def validate(name: str, documents: list[dict]) -> None:
    for document in documents:
        kind = f"{document['apiVersion']}/{document['kind']}"
        if kind in OTHERS:
            continue
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as fault:
            check(f"{name}: {kind} is valid", False, f"{fault.path}: {fault.message}")
    check(f"{name}: {len(documents)} documents are valid", bool(documents))


def checked(binary: Path, name: str, documents: list[dict]) -> None:
    """The configuration of the ConfigMaps, where the containers will find it."""
    maps = {
        document["metadata"]["name"]: document.get("data", {})
        for document in documents
        if document["kind"] == "ConfigMap"
    }
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        config = maps.get("portvakt-config") or maps.get("portvakt-nais")
        for folder, files in {"config": config or {}, "policies/routes": maps.get("portvakt-rules", {})}.items():
            (root / folder).mkdir(parents=True)
            for file, text in files.items():
                secrets = str(root / "secrets")
                (root / folder / file).write_text(text.replace("/run/secrets/portvakt", secrets))
        (root / "secrets").mkdir()
        key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, text=True).stdout
        config_file = root / "config/portvakt.yaml"
        # Keys of clients are JWKs with their id; a PEM has it beside it.
        config_file.write_text(re.sub(r"^( +)key_file:", r"\1kid: k\n\1key_file:", config_file.read_text(), flags=re.M))
        (root / "secrets/client.jwk").write_text(key)
        (root / "secrets/subscription-key").write_text("0" * 32)
        (root / "secrets/control-token").write_text("0" * 32)
        variables = {"MASKINPORTEN_CLIENT_ID": "c", "PATH": os.environ["PATH"]}
        if "portvakt-nais" in maps:
            variables |= {"PORTVAKT_UPSTREAM__URL": "http://vat-api", "PORTVAKT_ENVIRONMENT": "tt02"}
            variables |= {
                "PORTVAKT_PDP__CREDENTIAL__MASKINPORTEN__KID": "k",
                "PORTVAKT_PDP__CREDENTIAL__MASKINPORTEN__KEY": key,
            }
        command = [binary, "check", "--config", config_file]
        said = subprocess.run(command, capture_output=True, text=True, env=variables)
        check(f"{name}: `portvakt check` is content", said.returncode == 0, said.stderr)


def sidecars(folder: Path, others: Path) -> None:
    """The component, over Deployments of others."""
    before = [document for document in yaml.safe_load_all(others.read_text()) if document]
    inside = K8S / "overlays"
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        here = Path(temporary)
        (here / "deployment.yaml").write_text(others.read_text())
        (here / "kustomization.yaml").write_text(
            yaml.safe_dump(
                {
                    "resources": ["deployment.yaml", os.path.relpath(inside / "prod", here)],
                    "components": [os.path.relpath(K8S / "components" / name, here) for name in ("sidecar", "service")],
                }
            )
        )
        after = render(here)
    validate(others.stem, after)
    found = {(document["kind"], document["metadata"]["name"]): document for document in after}
    for document in before:
        kind, name = document["kind"], document["metadata"]["name"]
        left_alone = {"none", "as-it-is"} & set(document["metadata"].get("labels", {}).values())
        changed = found.get((kind, name), {})
        if left_alone:
            check(f"{others.stem}/{name}: {kind} is left alone", changed == document)
        elif kind == "Deployment":
            judge_deployment(f"{others.stem}/{name}", document, changed)
        elif kind == "Service":
            expected = copy.deepcopy(document)
            expected["spec"]["ports"][0]["targetPort"] = 7080
            check(f"{others.stem}/{name}: its first port leads to Portvakt, the others as before", changed == expected)
        else:
            check(f"{others.stem}/{name}: {kind} is as before", changed == document)


def judge_deployment(name: str, before: dict, after: dict) -> None:
    expected, got = copy.deepcopy(before), copy.deepcopy(after)
    pod, pod_before = got["spec"]["template"]["spec"], expected["spec"]["template"]["spec"]
    sidecar = [one for one in pod.get("initContainers", []) if one["name"] == "portvakt"]
    check(f"{name}: there is one native sidecar", len(sidecar) == 1 and sidecar[0].get("restartPolicy") == "Always")
    if not sidecar:
        return
    before_stop = sidecar[0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
    check(f"{name}: it leaves before the API does", before_stop == ["/portvakt", "drain"])
    security = sidecar[0]["securityContext"]
    hardened = (
        security["runAsNonRoot"]
        and security["readOnlyRootFilesystem"]
        and security["allowPrivilegeEscalation"] is False
        and security["capabilities"] == {"drop": ["ALL"]}
    )
    check(f"{name}: it may do nothing that it need not", hardened)
    check(f"{name}: it is probed", {"startupProbe", "livenessProbe", "readinessProbe"} <= sidecar[0].keys())
    mounts = {mount["name"] for mount in sidecar[0]["volumeMounts"]}
    check(f"{name}: what it mounts is there", mounts <= {volume["name"] for volume in pod["volumes"]})
    check(f"{name}: no mount by subPath", not any("subPath" in mount for mount in sidecar[0]["volumeMounts"]))
    first = pod["containers"][0]
    check(f"{name}: the API waits before it ends", first.pop("lifecycle")["preStop"]["sleep"]["seconds"] >= 5)
    check(f"{name}: no links to services", pod.pop("enableServiceLinks") is False)
    check(f"{name}: the platform waits long enough", pod.pop("terminationGracePeriodSeconds") == 45)
    check(
        f"{name}: the policy finds it",
        got["spec"]["template"]["metadata"]["labels"].pop("portvakt.no/sidecar") == "true",
    )
    # What remains is what was there.
    pod["initContainers"] = [one for one in pod["initContainers"] if one["name"] != "portvakt"]
    pod["volumes"] = [one for one in pod["volumes"] if not one["name"].startswith("portvakt-")]
    for emptied in ("initContainers", "volumes"):
        if not pod[emptied]:
            del pod[emptied]
    for ours in ("enableServiceLinks", "terminationGracePeriodSeconds"):
        pod_before.pop(ours, None)
    check(f"{name}: all else is as before", got == expected, json.dumps([got, expected]))


def alerts(documents: list[dict], metrics: str) -> None:
    rules = next(document for document in documents if document["kind"] == "PrometheusRule")["spec"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        (folder / "tests.yaml").write_text((HERE / "alerts.test.yaml").read_text())
        for command in (["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]):
            said = subprocess.run(["promtool", *command], cwd=folder, capture_output=True, text=True)
            check(f"promtool {' '.join(command[:2])}", said.returncode == 0, said.stdout + said.stderr)
    tested = {
        one["alertname"]
        for case in yaml.safe_load((HERE / "alerts.test.yaml").read_text())["tests"]
        for one in case["alert_rule_test"]
    }
    stated = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    check("every alert is tested", tested == stated, str(tested ^ stated))
    asked = names_in([rule["expr"] for group in rules["groups"] for rule in group["rules"]])
    check("every metric that an alert asks about is there", asked <= known(metrics), str(asked - known(metrics)))
    said = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True)
    ours = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("portvakt_")]
    check("promtool check metrics", not ours, "; ".join(ours))


def dashboard(documents: list[dict], metrics: str) -> None:
    """Every question of the dashboard is sound, and about a metric that is there."""
    maps = [document for document in documents if document["metadata"]["name"] == "portvakt-dashboard"]
    board = json.loads(maps[0]["data"]["dashboard.json"])
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    plain = [expr.replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$pod", ".*") for expr in asked]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(plain)]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "rules.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
        said = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
        check("every question of the dashboard is sound", said.returncode == 0, said.stdout + said.stderr)
    told = names_in(plain)
    check("every metric of the dashboard is there", told <= known(metrics), str(told - known(metrics)))
    page = (ROOT / "docs/reference/metrics.md").read_text()
    missing = {name for name in names_in(page.splitlines()) if name not in told and name != "portvakt_build_info"}
    # Its mean is the oldest one's affair.
    check("every metric is on the dashboard", missing <= {"portvakt_decision_age_seconds"}, str(missing))


def names_in(texts: list[str]) -> set[str]:
    found = {word for text in texts for word in re.findall(r"portvakt_[a-z_]+", text)}
    return {word.removesuffix("_bucket") for word in found}


def known(metrics: str) -> set[str]:
    """Those of the page, which the program's own tests hold against it: some are absent where nothing is to be told."""
    found = {line.split()[2] for line in metrics.splitlines() if line.startswith("# HELP")}
    page_of_all = (ROOT / "docs/reference/metrics.md").read_text()
    return found | set(re.findall(r"^\| `(portvakt_\w+)`", page_of_all, re.MULTILINE))


def scrape(binary: Path) -> str:
    """The metrics of a proxy of its own, on free ports."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "policies/routes").mkdir(parents=True)
        (folder / "policies/routes/it.yaml").write_text((K8S / "base/routes/closed.yaml").read_text())
        (folder / "keys.json").write_text('{"keys":[]}')
        (folder / "portvakt.yaml").write_text(
            """environment: custom
server: { listen: 127.0.0.1:0 }
admin: { listen: 127.0.0.1:0 }
upstream: { url: "http://127.0.0.1:9" }
pdp: { url: "http://127.0.0.1:9", credential: { none: true } }
tokens: { issuers: [{ kind: maskinporten, issuer: "http://127.0.0.1:9/", jwks_file: keys.json }] }
policies: policies
shutdown: { wait: 0s }
"""
        )
        command = [binary, "serve", "--config", folder / "portvakt.yaml"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                fields = json.loads(line).get("fields", {}) if line.startswith("{") else {}
                if fields.get("message") == "serving":
                    break
            # Read on, so that it never waits for us.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            admin = fields["admin"].strip("[]")
            health = subprocess.run([binary, "health", "--live", "--admin", admin], capture_output=True, text=True)
            check(
                "`portvakt health --live` says that it lives",
                (health.returncode, health.stdout) == (0, "live\n"),
                health.stderr,
            )
            health = subprocess.run(
                [binary, "health", "--admin", admin, "--format", "json"], capture_output=True, text=True
            )
            unready = health.returncode == 1 and json.loads(health.stdout)["well"] is False
            check("`portvakt health` says that it is not ready without keys", unready, health.stdout)
            with urllib.request.urlopen(f"http://{admin}/metrics") as answer:
                return answer.read().decode()
        finally:
            process.terminate()
            check("it ends in order", process.wait(timeout=30) == 0)
            health = subprocess.run([binary, "health", "--admin", admin], capture_output=True, text=True)
            check("`portvakt health` says that nobody is there", health.returncode == 3, health.stderr)


def literally(binary: Path) -> None:
    """docs/OPERATIONS.md, as it stands."""
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s") as temporary:
        here = Path(temporary)
        try:
            documents, given = page.prepare(here), page.secret(here)
        except (RuntimeError, AssertionError) as fault:
            check("docs/OPERATIONS.md: what it says can be done", False, str(fault))
            return
    validate("docs/OPERATIONS.md", documents)
    validate("docs/OPERATIONS.md: the secret", [given])
    checked(binary, "docs/OPERATIONS.md", documents)
    before = next(yaml.safe_load_all((HERE / "deployments/plain.yaml").read_text()))
    after = next(document for document in documents if document["kind"] == "Deployment")
    judge_deployment("docs/OPERATIONS.md", before, after)
    wrong = page.begins(binary, documents, given)
    check("docs/OPERATIONS.md: the containers start side by side", not wrong, wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True, help="the portvakt that checks configurations")
    parser.add_argument("--linter", type=Path, required=True, help="checkov")
    arguments = parser.parse_args()
    binary = arguments.binary.resolve()
    metrics = scrape(binary)
    for folder in sorted([*(K8S / "overlays").iterdir(), *(K8S / "examples").iterdir()]):
        name = f"{folder.parent.name}/{folder.name}"
        documents = render(folder)
        validate(name, documents)
        checked(binary, name, documents)
        if name == "examples/sidecar":
            wrong = policies.found(arguments.linter, documents)
            check(f"{name}: a linter of policies is content", not wrong, "; ".join(wrong))
            alerts(documents, metrics)
            dashboard(documents, metrics)
    with tempfile.TemporaryDirectory() as temporary:
        for others in sorted((HERE / "deployments").glob("*.yaml")):
            sidecars(Path(temporary), others)
    literally(binary)
    print(f"{DONE} checks, {len(FAULTS)} wrong")
    for fault in FAULTS:
        print(f"NO {fault}", file=sys.stderr)
    return 1 if FAULTS else 0


if __name__ == "__main__":
    sys.exit(main())
