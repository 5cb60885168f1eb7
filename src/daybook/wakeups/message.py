"""The message that wakes a projection: its queue, its actor, and nothing but the name."""

from dramatiq import Message

QUEUE = "projections"
ACTOR = "post"


def message_for(projection: str) -> "Message[None]":
    """Return the wake-up of a projection."""
    return Message(queue_name=QUEUE, actor_name=ACTOR, args=(projection,), kwargs={}, options={})
