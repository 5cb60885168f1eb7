"""Upcasters: how the data of a stored event of an older version becomes that of the next version.

One pure function for each version that is no longer written, and the one list of them. A chain
leads from any version to the newest, so a new version needs one function and older ones stay.
"""

from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]
"""Takes data as JSON holds it (money and times are strings) and may change it in place."""

# Under the name and the version that a function above takes; what it returns is the next version.
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
