"""Request targets for the differential part: from public lists, and made at random from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

# Addresses that some rule matches, and the places where an attacker would put things.
BASES = [
    b"/", b"/public/a", b"/public/a/", b"/open/admin", b"/open/x", b"/open/312714051", b"/open/x/secret",
    b"/open/x/items/7", b"/encoded/x", b"/encoded/a%2Fb", b"/closed/x", b"/files/a/b.txt", b"/files/x",
    b"/nothing/here",
]  # fmt: skip
# What comes after these is captured.
CAPTURING = [b"/open/", b"/open/x", b"/open/x/items/", b"/encoded/", b"/files/", b"/files/a/"]
PREFIXES = [b"/", b"/open/", b"/open/x/items/", b"/files/", b"/files/a/", b"/public/a/", b"/encoded/"]

# What readers of a path disagree about.
SHARP = [
    b".", b"..", b"...", b"/", b"//", b"/./", b"/../", b"\\", b"..\\", b"%2e", b"%2E%2e", b"%2f", b"%2F..%2f",
    b"%5c", b";", b";a=b", b"..;/", b"?", b"??", b"#", b"#/../", b"%00", b"%0a", b"%0d%0a", b"%09", b"%", b"%2",
    b"%zz", b"%u002e", b"%25", b"%252e", b"%252f", b"%25252e", b"%23", b"%3f", b"%3F", b"%3b", b"%26", b"%3d",
    b"%c0%ae", b"%c0%af", b"%e0%80%af", b"%ff", b"%fe", b"%ed%a0%80", b"admin", b"secret", b"/secret",
    b"/open/admin", b"%61dmin", b"adm%69n", b"ADMIN", b"Admin", b"aDmin", b"%41dmin", b"/closed/x", b"closed",
]  # fmt: skip
# What they should agree about, so that many targets pass and are compared.
BLUNT = [
    b"a", b"Z", b"0", b"-", b"_", b"~", b"!", b"$", b"&", b"'", b"(", b")", b"*", b"+", b",", b":", b"=", b"@", b"%20",
    b"%21", b"%22", b"%24", b"%2b", b"%2B", b"%2c", b"%3a", b"%3A", b"%40", b"%5b", b"%5D", b"%7b", b"%7C", b"%5e",
    b"%60", b"%3c", b"%3E", b"%c3%a6", b"%C3%86", b"%e2%84%aa", b"%c4%b0", b"%ef%bc%8f", b"%ef%bc%8e", b"%e2%88%95",
    b"%e2%80%a4", b"%e2%80%ae", b"%ef%bb%bf", b"%c2%a0", b"%c2%85", b"%e2%80%a8", b"%f0%9f%98%80", b"%cc%81",
    b"a.", b".a", b"a..b", b"x.json", b"|", b"^", b'"', b"<", b">", b"{", b"}", b"[", b"]", b"`",
    "æ".encode(), "／".encode(), "．．".encode(), "\N{KELVIN SIGN}".encode(), b"\xff",
]  # fmt: skip
QUERIES = [
    b"", b"", b"", b"?", b"?a=b", b"?a=/../admin", b"?/open/admin", b"?x?y", b"?a=%2F..%2Fadmin", b"?%00", b"?a=b;c",
    b"?a=b&a=c", b"?\xc3\xa6", b"?a=b#c", b"?..", b"?//", b"?a=\\..\\", b"?a=|", b"?a=%zz",
]  # fmt: skip


def targets(seed: int, most: int, vectors: Path | None) -> list[bytes]:
    """At most so many, each once; a quarter of them from the lists, if these are there."""
    chance = random.Random(seed)
    listed = sorted(set(from_lists(vectors))) if vectors else []
    chance.shuffle(listed)
    found = dict.fromkeys(BASES + listed[: most // 4])
    while len(found) < most:
        found[made(chance)] = None
    return list(found)


def made(chance: random.Random) -> bytes:
    """A known address with a few changes. Most are harmless, since what is refused compares nothing."""
    if chance.random() < 0.7:
        target = chance.choice(CAPTURING) + b"".join(chance.choices(BLUNT, k=chance.randrange(1, 4)))
    else:
        target = chance.choice(BASES)
        for _ in range(chance.randrange(1, 4)):
            target = change(chance, target)
    return target + chance.choice(QUERIES)


def change(chance: random.Random, target: bytes) -> bytes:
    at = chance.randrange(1, len(target) + 1)
    match chance.randrange(5):
        case 0:
            return target[:at] + chance.choice(SHARP) + target[at:]
        case 1:
            return target[:at] + chance.choice(BLUNT) + target[at:]
        case 2:
            return target + chance.choice(SHARP)
        case 3:
            return target[: at - 1] + b"%%%02x" % target[at - 1] + target[at:]
        case _:
            return target[: at - 1] + target[at - 1 : at].swapcase() + target[at:]


def from_lists(vectors: Path) -> Iterator[bytes]:
    """Traversal strings and inputs of URL parsers, behind each prefix."""
    strings: set[bytes] = set()
    for file in sorted((vectors / "payloads-traversal").glob("*.txt")):
        strings.update(file.read_bytes().splitlines())
    for case in json.loads((vectors / "wpt-url" / "urltestdata.even.json").read_text()):
        if isinstance(case, dict):
            strings.update(text.encode("utf-8", "surrogatepass") for text in (case["input"], case.get("pathname", "")))
    for text in strings:
        # A line break would end the request line: that is framing, which other tests are about.
        if not text or any(byte in text for byte in b"\r\n"):
            continue
        yield from (prefix + text for prefix in PREFIXES)
        if text.startswith(b"/"):
            yield text
