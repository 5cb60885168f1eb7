"""The guards that are tried: the files of `table/` declare them, each under its name."""

from pathlib import Path

import msgspec

from tests.guards.guard import Guard

FOLDER = Path(__file__).parent / "table"


def declared() -> list[Guard]:
    """Read all files; raises `msgspec.DecodeError`, and `ValueError` if a name comes twice."""
    found: dict[str, Guard] = {}
    for file in sorted(FOLDER.glob("*.toml")):
        guards = msgspec.toml.decode(file.read_bytes(), type=dict[str, Guard])
        if twice := guards.keys() & found.keys():
            raise ValueError(f"Another file has guards of these names too: {sorted(twice)}")
        found |= guards
    return [msgspec.structs.replace(guard, name=name) for name, guard in found.items()]


GUARDS = declared()
