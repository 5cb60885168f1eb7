"""Text that people typed: what every name, reason and note must satisfy before it is kept."""

import unicodedata

from domain.refusal import Invalid

# As many code points as one of NFC may come of, such as U+1F82. To compose takes the square of how
# many marks stand in a row, so what is too long in any case is not composed.
MOST_OF_ONE = 4
# Cc and Cs cover NUL, C0/C1 controls and lone surrogates, which no text column or log line may get.
UNWANTED = frozenset({"Cc", "Cs"})


def checked_text(
    field: str, text: str, *, shortest: int = 1, longest: int = 200, lines: bool = False
) -> str:
    """Return the text trimmed and in NFC; `Invalid` if too short, too long or not printable."""
    trimmed = text.strip()
    far_too_long = len(trimmed) > MOST_OF_ONE * longest
    clean = "" if far_too_long else unicodedata.normalize("NFC", trimmed).strip()
    if far_too_long or len(clean) > longest:
        raise Invalid.field(field, f"At most {longest} characters are allowed here.")
    if len(clean) < shortest:
        raise Invalid.field(field, f"At least {shortest} characters are needed here.")
    allowed = "\n\t" if lines else ""
    if any(unicodedata.category(mark) in UNWANTED and mark not in allowed for mark in clean):
        raise Invalid.field(field, "Control characters are not allowed here.")
    return clean
