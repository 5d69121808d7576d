"""The status page of a demo in a real browser. Exit 1 where it is not what it should be."""

import argparse
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import faults
from browser import Browser

ACCOUNTANT, CLIENT, STRANGER = "314242726", "312714051", "313750531"
OFFSETS = {"proxy": 0, "issuer": 1, "pdp": 2, "api": 3, "admin": 10, "control": 11}

# Contrast of each text with what is behind it (WCAG 2.2 §1.4.3): those below 4.5.
CONTRAST = """
const luminance = (c) => {
  const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const read = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const c = read(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
  }
  return [255, 255, 255];
};
const texts = [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() &&
  [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
return texts.map((e) => {
  const [one, other] = [luminance(read(getComputedStyle(e).color).slice(0, 3)), luminance(behind(e))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  return [ratio, e.tagName + " " + e.textContent.trim().slice(0, 40)];
}).filter(([ratio]) => ratio < 4.5).map(([ratio, what]) => `${ratio.toFixed(2)} ${what}`).concat(
  texts.length < 40 ? [`only ${texts.length} texts`] : []);
"""
FOCUSED = """
const e = document.activeElement;
const form = e.closest("form");
return e.id || (form ? form.id + " " + (e.name || e.type) : e.getAttribute("aria-labelledby") || e.tagName);
"""
FOCUSABLE = """
const all = document.querySelectorAll("a[href], input, select, button, [tabindex='0']");
return [...all].filter((e) => e.checkVisibility()).length;
"""
ROWS = "return [...document.querySelectorAll('#record-rows tr')].map((row) => row.innerText)"


class Demo:
    def __init__(self, binary: pathlib.Path, folder: pathlib.Path) -> None:
        self.folder = folder
        base = free_base()
        self.at = {name: f"http://127.0.0.1:{base + offset}" for name, offset in OFFSETS.items()}
        self.binary = binary
        self.process = subprocess.Popen(
            [binary, "demo", "--port-base", str(base), "--keys", folder / "demo"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stderr:
            if "Ctrl-C ends the demo" in line:
                break
        else:
            raise RuntimeError("the demo does not start")
        self.control_token = (folder / "demo/control.token").read_text().strip()
        mint = [binary, "token", "mint", "--issuer", self.at["issuer"] + "/", "--client", "smartcloud"]
        mint += ["--key", folder / "demo/smartcloud.pem", "--owner", ACCOUNTANT, "--external-ref", "regnskap"]
        mint += ["--scope", "skatteetaten:mvameldinginnsending"]
        self.token = subprocess.run(mint, check=True, capture_output=True, text=True).stdout.strip()

    def file(self, party: str) -> int:
        headers = {"Authorization": f"Bearer {self.token}"}
        return ask("POST", f"{self.at['proxy']}/mva/{party}/melding", headers, b"")[0]

    def control(self, path: str, body: object) -> None:
        headers = {"Authorization": f"Bearer {self.control_token}", "Content-Type": "application/json"}
        status, _, text = ask("POST", self.at["control"] + path, headers, json.dumps(body).encode())
        assert status == 200, (path, status, text)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def ask(
    method: str, url: str, headers: dict | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], str]:
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as fault:
        return fault.code, dict(fault.headers), fault.read().decode()


def free_base() -> int:
    """A port from which on all that the demo needs is free."""
    for _ in range(100):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            base = first.getsockname()[1]
        if base > 65000:
            continue
        try:
            for offset in OFFSETS.values():
                with socket.socket() as one:
                    one.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        return base
    raise RuntimeError("no ports")


class Page:
    def __init__(self, browser: Browser, demo: Demo, shots: pathlib.Path | None) -> None:
        self.browser, self.demo, self.shots = browser, demo, shots

    def text(self, place: str) -> str:
        return self.browser.run("return document.getElementById(arguments[0]).innerText", place)

    def until_text(self, place: str, text: str) -> None:
        script = "return document.getElementById(arguments[0]).innerText.includes(arguments[1])"
        self.browser.until(f"{text!r} in #{place}", script, place, text)

    def tab_to(self, name: str, most: int = 60) -> None:
        for _ in range(most):
            if self.browser.run(FOCUSED) == name:
                return
            self.browser.press("Tab")
        raise AssertionError(f"{name} is not reached by Tab")

    def shoot(self, name: str) -> None:
        if self.shots:
            self.browser.run("scrollTo(0, 0)")
            self.browser.shot(self.shots / f"{name}.png")


def shows_what_is(page: "Page") -> None:
    """It says that all is well, whom it depends on, and what is in force."""
    page.until_text("summary", "ready")
    page.until_text("systems", "Altinn’s PDP")
    assert page.browser.run("return document.querySelectorAll('#systems li').length") == 4
    page.until_text("keys", page.demo.at["issuer"])
    page.until_text("config", "generation 1")
    page.until_text("rule-state", "rules;")
    assert page.browser.run("return document.querySelectorAll('#rule-rows tr').length") > 3


def shows_decisions_as_they_are_made(page: "Page") -> None:
    """Requests appear, are counted, and can be filtered by keyboard alone."""
    page.until_text("record-state", "connected;")
    assert page.demo.file(CLIENT) == 201 or page.demo.file(CLIENT) == 200
    assert page.demo.file(STRANGER) == 403
    page.browser.until("both records", ROWS + ".some((row) => row.includes('forwarded'))")
    page.browser.until("both records", ROWS + ".some((row) => row.includes('access-denied'))")
    page.until_text("codes", "access-denied")
    page.browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    page.tab_to("record-filter outcome")
    page.browser.write("refused")
    page.browser.press("Tab")
    page.browser.press("Enter")
    page.until_text("record-state", "connected;")
    for party in (CLIENT, STRANGER, CLIENT, STRANGER):
        page.demo.file(party)
    page.browser.until("two refusals", ROWS + ".length >= 2")
    rows = page.browser.run(ROWS)
    assert len(rows) == 2 and all("access-denied" in row for row in rows), rows
    page.browser.run("document.querySelector('#record-filter [name=outcome]').value = ''")
    page.tab_to("pause")
    page.browser.press("Space")
    page.until_text("record-state", "paused")
    page.browser.press("Space")
    page.until_text("record-state", "connected;")


def shows_how_long_requests_take(page: "Page") -> None:
    """By figures and by two lines, which come with the requests."""
    for _ in range(3):
        page.demo.file(CLIENT)
        page.browser.until("a line", "return document.querySelector('#latency-plot .whole').getAttribute('d').includes('M')")
    page.until_text("latency", "99 of 100 within")
    assert "ms" in page.text("latency"), page.text("latency")
    assert "the longest was" in page.text("latency-note")
    assert page.browser.run("return document.querySelector('#latency-plot .own').getAttribute('d').includes('M')")
    page.shoot("latency")


def is_reached_by_keyboard(page: "Page") -> None:
    """Each control takes the focus in turn, beginning with the way past the rest, and shows that it has it."""
    browser = page.browser
    browser.open(page.demo.at["control"])
    page.until_text("rule-state", "rules;")
    met = []
    for _ in range(browser.run(FOCUSABLE)):
        browser.press("Tab")
        met.append(browser.run(FOCUSED))
        outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", (met[-1], outline)
    assert len(set(met)) == len(met), met
    wanted = {"record-filter rule", "pause", "rule-filter text", "purge token", "purge submit"}
    assert wanted <= set(met), met
    named = browser.run(
        "return [...document.querySelectorAll('input, select')].filter((e) => !e.labels.length).map((e) => e.name)"
    )
    assert named == [], named


def says_what_fails(page: "Page") -> None:
    """A PDP that fails is named, and the page says so by a word, not by colour alone."""
    page.demo.control("/faults", {"status": 503, "times": 50})
    page.demo.control("/decisions/purge", {"all": True})
    page.demo.file(CLIENT)
    page.until_text("systems", "failing")
    page.until_text("findings-list", "pdp: failing for")
    page.until_text("summary", "to be looked at")
    page.shoot("failing")
    page.demo.control("/faults", {"behaviour": "answer"})


def changes_need_the_token(page: "Page") -> None:
    browser = page.browser
    for token, said in (("wrong-0123456789", "the control token is needed"), (page.demo.control_token, "forgotten")):
        page.tab_to("purge token")
        browser.run("document.activeElement.value = ''")
        browser.write(token)
        browser.press("Enter")
        page.until_text("purge-state", said)


def is_readable(page: "Page") -> None:
    """In the light, in the dark and on a phone: contrast, and nothing wider than the screen."""
    browser = page.browser
    for name, scheme, size in (
        ("light", "light", (1280, 1000, False)),
        ("dark", "dark", (1280, 1000, False)),
        ("phone", "light", (390, 844, True)),
        ("phone-dark", "dark", (390, 844, True)),
    ):
        browser.colours(scheme)
        browser.size(*size)
        page.demo.file(CLIENT)
        page.demo.file(STRANGER)
        browser.until("records", ROWS + ".length >= 2")
        faint = browser.run(CONTRAST)
        assert faint == [], (name, faint)
        wide = browser.run("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (name, wide)
        page.shoot(name)
    shapes = browser.run("return getComputedStyle(document.querySelector('#record-rows td')).display")
    assert shapes == "grid", shapes


def asks_nobody_else(page: "Page") -> None:
    """Everything comes from the listener itself, under a policy that allows nothing else; nothing was blocked."""
    control = page.demo.at["control"]
    used = page.browser.run("return [...performance.getEntriesByType('resource')].map((one) => one.name)")
    assert used and all(one.startswith(control + "/") for one in used), used
    # Chromium logs each answer that is no success; of those there is the wrong token's.
    log = [line for line in page.browser.log() if "/decisions/purge" not in line]
    assert log == [], log
    for path in ("/", "/page.js", "/page.css"):
        status, headers, _ = ask("GET", control + path)
        policy = headers["content-security-policy"]
        assert status == 200 and "default-src 'none'" in policy and "unsafe" not in policy, headers
        assert headers["x-content-type-options"] == "nosniff", headers
        for name, value in (
            ("Host", "portvakt.example"),
            ("Origin", "http://localhost:1"),
            ("Sec-Fetch-Site", "cross-site"),
        ):
            assert ask("GET", control + path, {name: value})[0] in (403, 421), (path, name)


CHECKS = [
    shows_what_is,
    shows_decisions_as_they_are_made,
    shows_how_long_requests_take,
    is_reached_by_keyboard,
    is_readable,
    changes_need_the_token,
    asks_nobody_else,
    says_what_fails,
]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", type=pathlib.Path, required=True)
    arguments.add_argument("--shots", type=pathlib.Path)
    arguments = arguments.parse_args()
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(arguments.binary.resolve(), pathlib.Path(folder))
        try:
            browser = Browser()
            try:
                browser.open(demo.at["control"])
                page = Page(browser, demo, arguments.shots)
                for check in CHECKS:
                    name = check.__name__.replace("_", " ")
                    try:
                        check(page)
                        print(f"right  {name}")
                    except (AssertionError, RuntimeError) as fault:
                        wrong += 1
                        print(f"WRONG  {name}: {fault}")
                wrong += faults.run(arguments.binary.resolve(), browser)
            finally:
                browser.close()
        finally:
            demo.close()
    print(f"status page: {wrong} wrong")
    sys.exit(1 if wrong else 0)


main()
