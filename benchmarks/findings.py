"""What a measurement finds: values of several rounds, beside those of what it is compared with."""

from statistics import median

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One measured thing, a value a round; `base` has those of `against` from the same rounds.

    `target` is for the ratio, or for the value where there is nothing to compare with; `at_most`:
    smaller is better. `notes` are further figures of it, such as the percentiles of the delay.
    """

    part: str
    what: str
    unit: str
    values: list[float]
    against: str = ""
    base: list[float] = []
    target: float | None = None
    at_most: bool = False
    notes: dict[str, float] = {}

    def ratios(self) -> list[float]:
        """Return value / base, round by round."""
        return [value / base for value, base in zip(self.values, self.base, strict=True)]

    def judged(self) -> list[float]:
        """Return what the target is for, round by round."""
        return self.ratios() if self.base else self.values

    def met(self) -> bool | None:
        """Tell whether the median meets the target, None without one."""
        if self.target is None:
            return None
        middle = median(self.judged())
        return middle <= self.target if self.at_most else middle >= self.target


class Skipped(msgspec.Struct, frozen=True):
    """Something that could not be measured here, and why."""

    part: str
    what: str
    reason: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run."""

    started_at: str
    seconds: float
    quick: bool
    machine: dict[str, str]
    findings: list[Finding]
    skipped: list[Skipped]
