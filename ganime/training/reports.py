"""Reports of a run averaged over a fixed number of steps, so that the time which a step takes does not count."""

from __future__ import annotations

from dataclasses import replace

from ganime.training.events import Step

REPORT_STEPS = 10
AVERAGED = ("d_loss", "g_loss", "d_real", "d_fake", "images_per_second")


class ReportMeans:
    """Averages reports until they span enough steps.

    least_steps: that a mean spans; reports of as many steps are passed on as they are.
    """

    def __init__(self, least_steps: int = REPORT_STEPS) -> None:
        self.least_steps, self.step = least_steps, 0
        self.waiting: list[tuple[int, Step]] = []  # each with the number of steps that it spans

    def restart(self) -> None:
        """Forget what waits; the next report may be of any step."""
        self.waiting.clear()
        self.step = 0

    def add(self, report: Step) -> Step | None:
        """The mean of the reports since the last mean, weighted by their steps; None while they span too few."""
        self.waiting.append((max(1, report.step - self.step), report))
        self.step = report.step
        steps = sum(count for count, _ in self.waiting)
        if steps < self.least_steps:
            return None
        means = {name: sum(count * getattr(one, name) for count, one in self.waiting) / steps for name in AVERAGED}
        self.waiting.clear()
        return replace(report, **means)
