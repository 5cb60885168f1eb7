"""The checklist in docs/security.md: what it says of tests is so."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)(?:::(test_\w+))?`")


def test_the_checklist_names_real_tests() -> None:
    named = NAMED.findall((ROOT / "docs" / "security.md").read_text())
    assert len(named) > 60
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text(), (file, test)
