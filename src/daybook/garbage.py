"""When Python looks for garbage in cycles: seldom, and never in what a process is made of."""

import gc

# Net new objects before a look at the youngest; looks before one at the middle; before one at all.
THRESHOLDS = (10_000, 20, 20)
# Pages of events are many objects and no cycles: to look as often as usual is a tenth of a fold.
OF_PAGES = (50_000, 20, 50)
# A builder has whole stretches in its memory, which a look walks through in vain: a tenth as well.
OF_STRETCHES = (500_000, 20, 50)


def settle() -> None:
    """Take what has been made so far as lasting. Call it once a process is put together.

    Without it a server under load walks through all modules and routes several times a second: a
    fifth of its time, in pauses of up to 100 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def look_rarely(thresholds: tuple[int, int, int] = OF_PAGES) -> None:
    """Look for cycles as seldom as a process may that goes through the log."""
    gc.set_threshold(*thresholds)
