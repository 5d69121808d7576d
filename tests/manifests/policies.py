"""What a linter of policies (checkov) has against the sidecar alone in its pod: nothing but what has a reason here."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import tempfile
from pathlib import Path

import yaml

ALLOWED = {
    "CKV_K8S_15": "a tag is never used twice, so that an image at hand is the right one",
    "CKV_K8S_29": "the security context of the pod is that of the API, which is there already",
    "CKV_K8S_35": "the client's id is no secret; what is one is mounted",
    "CKV_K8S_38": "the account of the pod is that of the API, which is there already",
    "CKV_K8S_43": "the digest of an image is known to who builds it: `images` of the component takes one",
}


def found(linter: Path, documents: list[dict]) -> list[str]:
    """The findings that are not allowed, and the allowed ones that are none any more."""
    alone = [without_api(document) for document in documents]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "rendered.yaml"
        file.write_text(yaml.safe_dump_all(alone))
        command = [
            linter,
            "--file",
            file,
            "--framework",
            "kubernetes",
            "--output",
            "json",
            "--quiet",
            "--skip-download",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LOG_LEVEL": "ERROR"})
    try:
        results = json.loads(ran.stdout)["results"]["failed_checks"]
    except (ValueError, KeyError):
        return [f"the linter does not run: {ran.stderr[-500:]}"]
    failed = {one["check_id"]: f"{one['check_id']} {one['check_name']}: {one['resource']}" for one in results}
    unexpected = [said for check, said in sorted(failed.items()) if check not in ALLOWED]
    return unexpected + [f"{check} is allowed, and is no finding" for check in ALLOWED if check not in failed]


def without_api(document: dict) -> dict:
    """The Deployment as if the sidecar were all there is in its pod."""
    if document["kind"] != "Deployment":
        return document
    alone = copy.deepcopy(document)
    pod = alone["spec"]["template"]["spec"]
    sidecar = next(one for one in pod.pop("initContainers") if one["name"] == "portvakt")
    sidecar.pop("restartPolicy")
    pod["containers"] = [sidecar]
    return alone
