"""Text that people typed: what every name, reason and note must satisfy before it is kept."""

import unicodedata

from domain.refusal import Invalid

# Cc and Cs cover NUL, C0/C1 controls and lone surrogates, which no text column or log line may get.
UNWANTED = frozenset({"Cc", "Cs"})


def checked_text(
    field: str, text: str, *, shortest: int = 1, longest: int = 200, lines: bool = False
) -> str:
    """Return the text trimmed and in NFC; `Invalid` if too short, too long or not printable."""
    clean = unicodedata.normalize("NFC", text).strip()
    if len(clean) < shortest:
        raise Invalid.field(field, f"At least {shortest} characters are needed here.")
    if len(clean) > longest:
        raise Invalid.field(field, f"At most {longest} characters are allowed here.")
    allowed = "\n\t" if lines else ""
    if any(unicodedata.category(mark) in UNWANTED and mark not in allowed for mark in clean):
        raise Invalid.field(field, "Control characters are not allowed here.")
    return clean
