"""testssl.sh and sslyze against the listener with TLS: nothing above "low".

testssl.sh takes over a minute, so it is left out of the quick run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from harness.checks import Checks, same
from harness.world import Proxy, World

# What a certificate authority that was made for the run cannot have; nothing of the listener itself.
OF_THE_TEST_AUTHORITY = {
    "cert_chain_of_trust": "the authority was made for this run",
    "cert_caIssuers": "as above",
    "cert_certificatePolicies_EV": "as above",
    "cert_crlDistributionPoints": "it publishes no list",
    "cert_revocation": "it revokes nothing",
    "cert_ocspURL": "it answers no questions",
    "cert_trust": "the certificate is for `localhost` and loopback",
    "cert_expirationStatus": "it lives for two days",
    "cert_notAfter": "as above",
    "cert_extlifeSpan": "as above",
    "DNS_CAArecord": "`localhost` has no such record",
    "overall_grade": "follows from the chain of trust",
    "grade_cap_reason_1": "as above",
    # Rated as medium since no plain HTTP answers: what redirects is for the API or the platform to say.
    "security_headers": "they belong to the API, whose answers are passed on as they are",
    "HSTS": "the header belongs to the API, whose answers are passed on as they are",
}
HARMLESS = {"OK", "INFO", "LOW", "DEBUG"}
SCANS = [
    "--mozilla_config=disable", "--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--heartbleed",
    "--openssl_ccs", "--compression", "--reneg", "--robot", "--early_data", "--fallback",
]  # fmt: skip


def run(world: World, checks: Checks) -> None:
    with world.node() as (upstream, _), world.proxy(upstream, tls=True) as proxy:
        with checks.case("sslyze: only TLS 1.2 and 1.3, and no known weakness"):
            same(by_sslyze(world, proxy), [])
        if world.thorough:
            with checks.case("testssl.sh finds nothing above low"):
                same(list(by_testssl(world, proxy)), [])


def by_testssl(world: World, proxy: Proxy) -> Iterator[str]:
    report = world.file("testssl.json")
    command = [
        "testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
        "--add-ca", world.certificates.authority, "--jsonfile", report, f"localhost:{proxy.port}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    findings = json.loads(report.read_text())
    print(f"         testssl.sh: {len(findings)} findings, exit code {done.returncode}", flush=True)
    if len(findings) < 100:
        yield f"only {len(findings)} findings: {done.stdout[-500:]}"
    for finding in findings:
        if finding["severity"] not in HARMLESS and finding["id"] not in OF_THE_TEST_AUTHORITY:
            yield f"{finding['severity']} {finding['id']}: {finding['finding']}"


def by_sslyze(world: World, proxy: Proxy) -> list[str]:
    report = world.file("sslyze.json")
    command = [sys.executable, "-m", "sslyze", f"localhost:{proxy.port}", "--json_out", report, *SCANS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    results = json.loads(report.read_text())["server_scan_results"]
    if not results or results[0]["scan_status"] != "COMPLETED":
        return [f"not scanned: {done.stdout[-500:]} {done.stderr[-500:]}"]
    return list(weaknesses(results[0]["scan_result"]))


def weaknesses(scan: dict[str, Any]) -> Iterator[str]:
    def result(name: str) -> dict[str, Any]:
        return scan[name]["result"]

    for version, offered in [
        ("ssl_2_0", False), ("ssl_3_0", False), ("tls_1_0", False), ("tls_1_1", False), ("tls_1_2", True),
        ("tls_1_3", True),
    ]:  # fmt: skip
        suites = [
            suite["cipher_suite"]["name"] for suite in result(f"{version}_cipher_suites")["accepted_cipher_suites"]
        ]
        if bool(suites) != offered:
            yield f"{version}: {suites}"
        for suite in suites:
            if version == "tls_1_2" and not ("ECDHE" in suite and ("GCM" in suite or "CHACHA20" in suite)):
                yield f"{version} with {suite}"
    for name, key, expected in [
        ("heartbleed", "is_vulnerable_to_heartbleed", False),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", False),
        ("tls_compression", "supports_compression", False),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", False),
        ("session_renegotiation", "supports_secure_renegotiation", True),
        ("tls_1_3_early_data", "supports_early_data", False),
        ("tls_fallback_scsv", "supports_fallback_scsv", True),
    ]:
        if result(name)[key] != expected:
            yield f"{name}: {key} is {result(name)[key]}"
    robot = result("robot")["robot_result"]
    if not str(robot).startswith("NOT_VULNERABLE"):
        yield f"robot: {robot}"
