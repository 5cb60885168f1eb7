"""What bodies may hold, as the OpenAPI document says it: the domain checks, in words for people.

A rule that stood here as well would refuse first, and in the words of a pattern.
"""

import msgspec

# What `str.strip` takes away from both ends, and what may stand nowhere between them.
BLANK = r"\t-\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
CONTROL = r"\x00-\x1f\x7f-\x9f"
CONTROL_BUT_LINES = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
SEEN = rf"[^{BLANK}\x00-\x1f\x7f-\x9f]"


def written(
    example: str, longest: int = 200, *, shortest: int = 1, lines: bool = False
) -> msgspec.Meta:
    """Describe a text that is trimmed, and then so long and without control characters."""
    inner = rf"[^{CONTROL_BUT_LINES if lines else CONTROL}]*"
    core = rf"{SEEN}{inner}{SEEN}" if shortest > 1 else rf"{SEEN}({inner}{SEEN})?"
    pattern = rf"^[{BLANK}]*{core}[{BLANK}]*$"
    return msgspec.Meta(
        max_length=longest,
        examples=[example],
        extra_json_schema={"extra": {"min_length": shortest, "pattern": pattern}},
    )


def described(example: object = None, **rules: object) -> msgspec.Meta:
    """Describe a value by the names that a schema has for its rules."""
    examples = None if example is None else [example]
    return msgspec.Meta(examples=examples, extra_json_schema={"extra": rules})
