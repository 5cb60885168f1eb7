"""Who may call a route: the groups that routes name, and the one check of them."""

from typing import Final

from api.errors import NotSignedIn
from api.request_context import Caller
from domain.refusal import Forbidden

Who = frozenset[str] | None

ANYONE: Final[Who] = None
SIGNED_IN: Final[Who] = frozenset({"customer", "staff", "auditor", "admin"})
BUYERS: Final[Who] = frozenset({"customer", "staff", "admin"})
STAFF: Final[Who] = frozenset({"staff", "admin"})  # an administrator may do all that staff may
ADMIN: Final[Who] = frozenset({"admin"})
AUDITOR: Final[Who] = frozenset({"auditor", "admin"})
STAFF_OR_AUDITOR: Final[Who] = frozenset({"staff", "auditor", "admin"})


def check(who: Who, caller: Caller | None) -> None:
    """Let the caller pass; `NotSignedIn` if nobody asks, `Forbidden` if the role is another."""
    if who is None:
        return
    if caller is None:
        raise NotSignedIn
    if caller.role not in who:
        raise Forbidden
