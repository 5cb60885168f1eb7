"""What a reader has seen: which positions, how often, and what was wrong with them."""

import msgspec

MOST_EXAMPLES = 5


class Seen(msgspec.Struct):
    """Positions as runs of neighbours [first, last], and the first few complaints."""

    runs: list[list[int]] = []
    count: int = 0
    twice: int = 0
    complaints: list[str] = []
    wrong: int = 0
    reconnected: int = 0

    def add(self, position: int) -> None:
        """Note a position; one that does not come after all others is a complaint."""
        self.count += 1
        if not self.runs:
            self.runs.append([position, position])
        elif position == self.runs[-1][1] + 1:
            self.runs[-1][1] = position
        elif position > self.runs[-1][1]:
            self.runs.append([position, position])
        else:
            self.twice += 1
            self.complain(f"position {position} came after {self.runs[-1][1]}")

    def complain(self, what: str) -> None:
        """Note that something is wrong."""
        self.wrong += 1
        if len(self.complaints) < MOST_EXAMPLES:
            self.complaints.append(what)

    @property
    def last(self) -> int:
        """Return the newest position seen, 0 before the first."""
        return self.runs[-1][1] if self.runs else 0


def without(runs: list[list[int]], others: list[list[int]]) -> list[list[int]]:
    """Return the parts of some runs that are in no run of others; both in rising order."""
    left = []
    rest = iter(others)
    other = next(rest, None)
    for first, last in runs:
        start = first
        while other is not None and other[1] < start:
            other = next(rest, None)
        while other is not None and other[0] <= last:
            if other[0] > start:
                left.append([start, other[0] - 1])
            start = other[1] + 1
            if start > last:
                break
            other = next(rest, None)
        if start <= last:
            left.append([start, last])
    return left
