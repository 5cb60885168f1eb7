"""What a guard is, as the table declares it, and the files that it and its test are in."""

import re
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A few words of the program without which a promise is broken, and the test that shows it.

    `text` is found once in `file`, and `instead` is what stands there when it is taken out. `test`,
    named below tests/, must then fail at the line of tests that begins with `red_at`: a failure
    anywhere else shows nothing. `hangs`: without the guard something waits for ever, there.
    """

    file: str
    text: str
    instead: str
    test: str
    red_at: str
    hangs: bool = False
    name: str = ""  # what the table calls it

    def found(self, root: Path = ROOT) -> int:
        """Return how often the guard's words are in its file."""
        return (root / self.file).read_text(encoding="utf-8").count(self.text)

    def take_out(self, root: Path) -> None:
        """Put the other words in the guard's place."""
        file = root / self.file
        before = file.read_text(encoding="utf-8")
        file.write_text(before.replace(self.text, self.instead), encoding="utf-8")

    @property
    def node(self) -> str:
        """The test as pytest names it."""
        return f"tests/{self.test}"

    @property
    def test_file(self) -> str:
        """The file of the test, from the root on."""
        return self.node.partition("::")[0]

    @property
    def test_function(self) -> str:
        """The test's name, without its parameters."""
        return re.sub(r"\[.*", "", self.test.rpartition("::")[2])
