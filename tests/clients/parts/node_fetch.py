"""fetch of Node: the checks are in `node_fetch.mjs`, which prints each as a line of JSON."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from subprocess import PIPE

from harness.checks import Checks, same
from harness.world import CLIENT, STRANGER, World


def run(world: World, checks: Checks) -> None:
    script = Path(__file__).with_suffix(".mjs")
    with world.node() as (upstream, status), world.proxy(upstream) as proxy:
        settings = {
            "base": proxy.url,
            "status": f"http://127.0.0.1:{status}",
            "token": world.token,
            "client": CLIENT,
            "stranger": STRANGER,
        }
        process = subprocess.Popen(["node", script], stdin=PIPE, stdout=PIPE, text=True)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        with process:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(settings))
            process.stdin.close()
            for line in process.stdout:
                said = json.loads(line)
                checks.report(said["name"], said["right"], said["detail"])
        watchdog.cancel()
    with checks.case("fetch: the script ran to its end"):
        same(process.returncode, 0, "exit code")
