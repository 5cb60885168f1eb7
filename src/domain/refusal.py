"""The ways in which a request is refused; each refusal carries the stable code that clients see."""

from typing import ClassVar

import msgspec


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong: the field's path in the request, a sentence, a harmless value."""

    field: str
    message: str
    value: str | int | None = None


class Refusal(Exception):  # noqa: N818 - the domain's word: a refusal is an answer, not an error
    """A request that is understood and not granted. Nothing has changed."""

    code: ClassVar[str]
    sentence: ClassVar[str] = ""

    def __init__(self, message: str | None = None, *details: Detail) -> None:
        self.message = message or self.sentence
        self.details = details
        super().__init__(self.message)


class Invalid(Refusal):
    """Well-formed, but a value is not acceptable."""

    code = "VALIDATION_ERROR"
    sentence = "The request is not valid."

    @classmethod
    def field(cls, field: str, message: str, value: str | int | None = None) -> "Invalid":
        """Make the refusal of a single field."""
        return cls(message, Detail(field, message, value))


class NotFound(Refusal):
    """It does not exist, or the caller may not know that it does."""

    code = "NOT_FOUND"
    sentence = "There is no such resource."


class Forbidden(Refusal):
    """The caller is known, but may not do this."""

    code = "FORBIDDEN"
    sentence = "You are not allowed to do this."


class InvalidState(Refusal):
    """The present state does not allow it."""

    code = "INVALID_STATE"
