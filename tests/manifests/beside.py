"""An API at 127.0.0.1:8080, and Portvakt as its manifest starts it, alone in a network. Exit 1 where it does not.

Nobody else is in that network, so the issuer's keys cannot be fetched: alive it must be, and not ready, and say why.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request


def ask(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError as fault:
        return 0, str(fault)


def until(what: str, shows: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not shows():  # type: ignore[operator]
        if time.monotonic() > end:
            sys.exit(f"{what} did not come")
        time.sleep(0.05)


def main() -> None:
    task = json.loads(sys.argv[1])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    variables = {"PATH": os.environ["PATH"]} | task["variables"]
    process = subprocess.Popen([task["binary"], *task["arguments"]], env=variables, stdout=subprocess.DEVNULL)
    try:
        probe = {name: f"http://127.0.0.1:{one['port']}{one['path']}" for name, one in task["probes"].items()}
        until("the start", lambda: process.poll() is not None or ask(probe["startupProbe"])[0] == 200)
        if process.poll() is not None:
            sys.exit(f"it ended with {process.returncode}")
        if ask(probe["livenessProbe"])[0] != 200:
            sys.exit("it is not alive")
        status, said = ask(probe["readinessProbe"])
        if status != 503 or "no keys of https://test.maskinporten.no/" not in said:
            sys.exit(f"ready or not: {status} {said}")
        status, said = ask("http://127.0.0.1:7080/mva/312714051/melding", "POST")
        if status != 401 or json.loads(said)["code"] != "token-missing":
            sys.exit(f"not refused: {status} {said}")
        if ask("http://127.0.0.1:7080/elsewhere")[0] != 404:
            sys.exit("an address without a rule was let through")
        if ask("http://127.0.0.1:7091/")[0] != 200:
            sys.exit("no status page")
        process.send_signal(signal.SIGTERM)
        if process.wait(40) != 0:
            sys.exit(f"it ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()


main()
