"""What a run has shown, for people."""

from dataclasses import dataclass

from tests.oracle.judge import Judgement
from tests.oracle.plan import Plan


@dataclass(frozen=True)
class Report:
    """A run's judgement, the faults by name, and the longest silence after each kind in seconds."""

    plan: Plan
    found: Judgement
    faults: dict[str, int]
    silences: dict[str, float]
    seconds: float
    acknowledged: int

    @property
    def kept(self) -> bool:
        """Tell whether every promise was kept."""
        return not self.found.broken

    def lines(self) -> list[str]:
        """Return the report, line by line."""
        found, plan = self.found, self.plan
        rate = self.acknowledged / self.seconds if self.seconds else 0.0
        stored = f"stored={found.stored} seen={found.seen}"
        crew = f"{plan.writers} writers with {plan.clients} clients each, {plan.readers} readers"
        lines = [
            f"{stored} missed={found.missed} dup={found.twice} dreamt={found.dreamt}",
            f"{self.acknowledged:,} events acknowledged in {self.seconds:,.0f} s: {rate:,.0f}/s",
            f"{crew} (reconnected {found.reconnected} times)",
            f"recorder {plan.recorder}, seed {plan.seed}",
        ]
        for word, (told, kept) in found.words.items():
            lines.append(f"  {told:>9,} commands {word}, {kept:,} of them stored")
        for name, count in sorted(self.faults.items()):
            lines.append(f"  {count:>9,} x {name}{self._silence(name)}")
        return lines + self._verdict()

    def _silence(self, name: str) -> str:
        return f", then at most {self.silences.get(name, 0.0):.1f} s without an answer"

    def _verdict(self) -> list[str]:
        if self.kept:
            return ["Every promise was kept."]
        lines = ["BROKEN:"]
        for promise, examples in self.found.broken.items():
            lines += [f"  {promise}:", *(f"    {example}" for example in examples)]
        return lines
