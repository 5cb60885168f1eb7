"""What a guard is, as the table declares it, and the files that it and its test are in."""

import re
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A few words of the program without which a promise is broken, and the test that shows it.

    `text` is found once in `file`, and `instead` is what stands there when it is taken out; `also`
    are other words of that file and what stands there, where one guard is behind another. `test`,
    named below tests/, must then fail at its line that begins with `red_at`: a failure anywhere
    else shows nothing.
    """

    file: str
    text: str
    instead: str
    test: str
    red_at: str
    also: tuple[tuple[str, str], ...] = ()
    name: str = ""  # what the table calls it

    @property
    def stands(self) -> bool:
        """Tell whether the guard's words are in its file, once."""
        program = (ROOT / self.file).read_text(encoding="utf-8")
        return all(program.count(text) == 1 for text, _ in self._words)

    def take_out(self, root: Path) -> None:
        """Put the other words in the guard's place."""
        file = root / self.file
        program = file.read_text(encoding="utf-8")
        for text, instead in self._words:
            program = program.replace(text, instead)
        file.write_text(program, encoding="utf-8")

    @property
    def _words(self) -> list[tuple[str, str]]:
        return [(self.text, self.instead), *self.also]

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
