"""A child as a worker has: it writes to the file CHILD_LOG that it lives, and what it hears."""

import os
import time
from pathlib import Path

from daybook.processes.children import end_with_parent


def say(word: str) -> None:
    """Write a line."""
    with Path(os.environ["CHILD_LOG"]).open("a", encoding="utf-8") as file:
        file.write(f"{word} {os.getpid()}\n")


if __name__ == "__main__":
    end_with_parent(lambda: say("news"))
    say("here")
    time.sleep(600)
