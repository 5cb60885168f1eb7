"""The lock: what is installed was chosen, and is not older than a known hole's mending (S41)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
# The first versions without CVE-2025-59152 and CVE-2026-25478 to -25480 (litestar),
# CVE-2026-32597, -48523 and -48526 (pyjwt), CVE-2024-47082, CVE-2026-35523 and -35526 (strawberry).
FLOORS = {"litestar": (2, 25), "pyjwt": (2, 15, 1), "strawberry-graphql": (0, 327, 2)}
PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,]+\])?==([0-9][^ ;]*)", re.MULTILINE)


def entries(lock: str) -> list[str]:
    """Return what a lock says of each package, its lines joined."""
    joined = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if re.match("[a-z0-9]", line)]


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_is_pinned_with_its_hashes(lock: str) -> None:
    found = entries(lock)
    assert len(found) > 50
    for entry in found:
        assert PINNED.match(entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_is_older_than_the_mending_of_a_known_hole(lock: str) -> None:
    versions = dict(PINNED.findall("\n".join(entries(lock))))
    for name, floor in FLOORS.items():
        assert tuple(map(int, versions[name].split("."))) >= floor, name
