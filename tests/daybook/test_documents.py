"""The documents: what they say of tests, files and each other is so."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)(?:::(test_\w+))?`")
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)[^)]*\)")


def test_the_checklist_names_real_tests() -> None:
    named = NAMED.findall((ROOT / "docs" / "security.md").read_text())
    assert len(named) > 60
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text(), (file, test)


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = Counter(path.name[:4] for path in DECISIONS.glob("[0-9]*.md"))
    assert [number for number, count in numbers.items() if count > 1] == []
    for path in DECISIONS.glob("[0-9]*.md"):
        assert path.read_text().startswith(f"# {int(path.name[:4])}. "), path.name


def test_what_the_documents_link_to_is_there() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(path, link) for path in documents for link in LINK.findall(path.read_text())]
    assert len(links) > 30
    missing = [(path.name, link) for path, link in links if not (path.parent / link).exists()]
    assert missing == []


def test_every_test_that_shows_a_fault_survived_exists() -> None:
    """docs/faults.md names them; who renames one has to say so there."""
    tests = ROOT / "tests"
    named = re.findall(r"`(\S+\.py)::(test_\w+)`", (ROOT / "docs" / "faults.md").read_text())
    missing = [
        (file, name)
        for file, name in named
        if not re.search(rf"^(async )?def {name}\(", (tests / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
    assert len(named) > 30
