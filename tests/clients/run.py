"""Real clients and servers through the built binary. See README.md."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from harness.checks import Checks
from harness.world import begin

# In this order.
PARTS = [
    "curl",
    "python_clients",
    "node_fetch",
    "grpc_calls",
    "traces",
    "operations",
    "websocket",
    "nginx",
    "uvicorn_server",
    "java_server",
    "differential",
    "tls_scanners",
]


def main() -> int:
    arguments = read_arguments()
    # An interrupted run ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = arguments.parts or PARTS
    started, done = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="portvakt-clients-") as folder:
        binary = arguments.binary.resolve()
        with begin(binary, Path(folder), thorough=arguments.all, seed=arguments.seed) as world:
            for name in names:
                checks = Checks(name)
                with checks.case("the part runs to its end"):
                    importlib.import_module(f"parts.{name}").run(world, checks)
                done.append(checks)
    return tell(done, time.monotonic() - started)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True, help="the portvakt to test")
    parser.add_argument("--all", action="store_true", help="more of everything, and testssl.sh")
    parser.add_argument("--seed", type=int, default=20261122, help="of what is made at random")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return arguments


def tell(done: list[Checks], seconds: float) -> int:
    wrong = [line for checks in done for line in checks.wrong]
    for line in wrong:
        print(f"wrong: {line}")
    right = sum(checks.right for checks in done)
    print(f"clients: {right} right, {len(wrong)} wrong, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
