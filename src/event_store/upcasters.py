"""Upcasters: how the data of a stored event of an older version becomes that of the next version.

One pure function for each version that is no longer written, and the one list of them. A chain
leads from any version to the newest, so a new version needs one function and older ones stay.
"""

from collections.abc import Callable, Sequence
from typing import Any

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]
"""Takes data as JSON holds it (money and times are strings) and may change it in place."""


def encrypted_from_here_on(data: Data) -> Data:
    """Change nothing: the next version is stored with its personal fields encrypted."""
    return data


# Under the name and the version that a function above takes; what it returns is the next version.
UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("order.cancelled", 1): encrypted_from_here_on,
    ("order.note_added", 1): encrypted_from_here_on,
    ("order.refunded", 1): encrypted_from_here_on,
    ("order.shipped", 1): encrypted_from_here_on,
    ("user.email_changed", 1): encrypted_from_here_on,
    ("user.imported", 1): encrypted_from_here_on,
    ("user.password_changed", 1): encrypted_from_here_on,
    ("user.password_rehashed", 1): encrypted_from_here_on,
    ("user.registered", 1): encrypted_from_here_on,
    ("user.renamed", 1): encrypted_from_here_on,
}

# The encrypted fields of versions that are no longer written; those of the newest are marked in the
# domain. They are opened before the upcaster sees them.
SEALED_BEFORE: dict[tuple[str, int], Sequence[str]] = {}
