"""Verdicts on a training run: its state, how that was detected, and what to do about it."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from ganime.measuring.distances import chance_of_nearness
from ganime.training.events import Event, Measured, Step, Verdict
from ganime.training.reports import REPORT_STEPS, ReportMeans

CHANCE = {"bce": 2 * math.log(2), "hinge": 2.0}  # the discriminator's loss while its logits are 0 for every face
WINDOW = 50  # reports from which losses and logits are judged
FEW_REPORTS = 20  # enough to detect what noise cannot explain
MEASURES_KEPT = 64
RECENT = 3  # the lowest Fréchet distance of this many measurements must fall for the run to count as improving
PATIENCE_FLAT, PATIENCE_WORSE = 8, 4  # measurements without improvement, or clearly worse, that make a run stalled
PATIENCE_SHARE = 0.25  # of all images seen, which these measurements must span
BETTER, FALLEN, WORSE = 0.99, 0.98, 1.05  # times the lowest Fréchet distance, or that at the start
FLAT_SPREAD = 1e-3  # range of the generator's loss divided by the loss; sampling alone gives far more
HIGH_LOGIT, WIDE_GAP = 1e4, 50.0  # logits of healthy runs stay within tens
ADVISED_FACES = 2_000  # with fewer training faces, the advice is to add more
HIGH_MEMORY = 0.5  # of `Measured.memory`

# A state is entered at the first value and left at the second, so that a run on the border does not flicker.
WINNING = (0.1, 0.2)  # the discriminator's loss divided by CHANCE, while the Fréchet distance does not fall
WINNING_UNMEASURED = (0.01, 0.02)  # the same before the distance is known
FOOLED = (1.0, 0.97)  # the same share, from below
EXPLODED = (10.0, 5.0)  # the same share, from below
LOW_DIVERSITY = (1 / 3, 0.45)  # twice in a row; untrained nets begin there, so only a fall to it is a collapse
NO_DIVERSITY = (0.05, 0.1)  # once, for a generator of one picture; untrained nets have more
MANY_COPIES = (4.0, 2.0)  # standard errors by which near copies exceed chance ...
NEARER = (2.0, 1.0)  # ... and z-score by which generated faces are nearer to training faces than fresh ones


class VerdictTracker:
    """Judges one run from its events, which it must see in order.

    It depends on the events alone and remembers the last 50 reports and 64 measurements. When the number of images
    falls, the run has returned to a save, and what came after that save is forgotten.

    loss: the adversarial loss of the run, one of `LOSSES`.
    faces: how many training faces there are.
    scratch: whether the run began from fresh nets.
    report_steps: reports of fewer steps are averaged until they span this many.
    """

    def __init__(self, loss: str, faces: int, scratch: bool = True, report_steps: int = REPORT_STEPS) -> None:
        self.loss, self.faces, self.scratch, self.means = loss, faces, scratch, ReportMeans(report_steps)
        self.state, self.images, self.breaks = "early", 0, 0
        self.start: Measured | None = None  # of the model that the run began from
        self.reports: deque[Step] = deque(maxlen=WINDOW)
        self.measures: deque[Measured] = deque(maxlen=MEASURES_KEPT)
        self.lowest: Measured | None = None  # the last measurement that was better by at least 1 %

    def see(self, event: Event) -> Verdict | None:
        """The verdict after a Measured event, or after a Step event that changes the state; otherwise None."""
        if not isinstance(event, Step | Measured):
            return None
        if event.images < self.images:
            self.forget(event.images)
        self.images = event.images
        if isinstance(event, Measured):
            self.measures.append(event)
            if not event.images:
                self.start = event
            if math.isfinite(event.frechet) and (self.lowest is None or event.frechet < BETTER * self.lowest.frechet):
                self.lowest = event
            verdict = self.most_serious()
        elif all(map(math.isfinite, (event.d_loss, event.g_loss, event.d_real, event.d_fake))):
            if not (report := self.means.add(event)):
                return None
            self.reports.append(report)
            verdict = self.most_serious()
        else:
            if self.state != "diverged" or self.reports:
                self.breaks += 1
            self.reports.clear()
            self.means.restart()
            verdict = self.not_finite(event)
        changed = verdict.state != self.state
        self.state = verdict.state
        return verdict if changed or isinstance(event, Measured) else None

    def forget(self, images: int) -> None:
        """Drop all reports, and the measurements at or beyond `images`: the run has returned to before them."""
        self.reports.clear()
        self.means.restart()
        while self.measures and self.measures[-1].images >= images:
            self.measures.pop()
        if self.lowest and self.lowest.images >= images:
            self.lowest = min(self.measures, key=lambda measured: measured.frechet, default=None)

    def most_serious(self) -> Verdict:
        """The most serious problem that is present; causes come before their consequences."""
        return (
            self.exploded()
            or self.collapsed()
            or self.discriminator_winning()
            or self.loss_flat()
            or self.discriminator_fooled()
            or self.copying()
            or self.worse_than_at_start()
            or self.no_progress()
            or self.no_problem()
        )

    def verdict(self, state: str, reason: str, advice: str, action: str) -> Verdict:
        return Verdict(self.images, state, reason, advice, action)

    # --- one check per problem

    def not_finite(self, step: Step) -> Verdict:
        """Losses that are NaN or infinite. The run itself reacts to the first time, see `run_folder.rescue`."""
        reason = f"the losses are no longer finite (discriminator {step.d_loss:.4g}, generator {step.g_loss:.4g})"
        if self.breaks > 1:
            return self.verdict("diverged", reason, change_rates("Lower both learning rates further"), "lower rates")
        advice = (
            "The run returns to its last save and lowers both learning rates to a half by itself, once. If it ends "
            "instead, begin a new run from the best save or from another model."
        )
        return self.verdict("diverged", reason, advice, "continue")

    def exploded(self) -> Verdict | None:
        """Losses or logits that are still finite but far out of range."""
        if len(self.reports) < FEW_REPORTS:
            return None
        share = self.loss_share(FEW_REPORTS)
        logit = median(max(abs(step.d_real), abs(step.d_fake)) for step in self.last(FEW_REPORTS))
        if not (share > self.limit("diverged", EXPLODED) or logit > HIGH_LOGIT):
            return None
        return self.verdict(
            "diverged",
            f"the discriminator's loss is {self.median_loss(FEW_REPORTS):.4g}, where chance is "
            f"{CHANCE[self.loss]:.2f}, and its logits reach {logit:.4g}",
            change_rates("Lower both learning rates to a tenth"),
            "lower rates",
        )

    def collapsed(self) -> Verdict | None:
        """Generated faces that hardly differ, though they did before or though nothing hinders the generator.

        Faces that never differed are not a collapse when the losses explain it; that diagnosis follows then.
        """
        one_picture = self.diversity_below(NO_DIVERSITY)
        if not one_picture and not self.diversity_below(LOW_DIVERSITY):
            return None
        if not one_picture and not self.was_varied():
            explained = self.falling() or self.discriminator_winning() or self.loss_flat()
            if explained or self.discriminator_fooled():
                return None
        if one_picture:
            advice = change_rates("Lower the generator's learning rate to a tenth")
        else:
            advice = change_rates("Lower the generator's learning rate to a half")
            advice += " A larger batch (--batch-size) in a new run helps, too."
        return self.verdict("collapsed", self.variety(), f"{advice}{self.more_faces()}", "lower rates")

    def discriminator_winning(self) -> Verdict | None:
        """A discriminator that is always right, so that the generator learns nothing from it."""
        falling = self.falling()
        if len(self.reports) < WINDOW or falling:
            return None
        limits = WINNING if falling is False else WINNING_UNMEASURED
        if self.loss_share() >= self.limit("discriminator winning", limits):
            return None
        gap = median(step.d_real for step in self.reports) - median(step.d_fake for step in self.reports)
        if gap > WIDE_GAP:
            advice, action = change_rates("Lower both learning rates to a tenth"), "lower rates"
        else:
            advice = change_rates("Lower the discriminator's learning rate to a quarter, or raise the generator's")
            advice += " If the faces are not augmented, a new run with --augment diffaugment helps, too."
            action = "balance rates"
        return self.verdict(
            "discriminator winning",
            f"the discriminator's loss has been about {self.median_loss():.2g} for {self.span()} images, where chance "
            f"is {CHANCE[self.loss]:.2f}; its logits for real and generated faces differ by {gap:.1f}"
            f"{self.last_measures()}",
            f"{advice}{self.more_faces()}",
            action,
        )

    def loss_flat(self) -> Verdict | None:
        """A generator's loss that is constant to three digits: neither net reacts to the other."""
        if len(self.reports) < FEW_REPORTS:
            return None
        losses = [step.g_loss for step in self.last(FEW_REPORTS)]
        if max(losses) - min(losses) > FLAT_SPREAD * max(abs(median(losses)), 0.1):
            return None
        return self.verdict(
            "stalled",
            f"the generator's loss has been {median(losses):.4f} for {self.span(FEW_REPORTS)} images, the same to "
            f"three digits, so neither net reacts to the other{self.last_measures()}",
            "Stop here: more images change nothing. Begin a new run with the learning rates of the recipe.",
            "begin again",
        )

    def discriminator_fooled(self) -> Verdict | None:
        """A discriminator that is at chance, so that it teaches the generator nothing."""
        if len(self.reports) < WINDOW or self.falling() or self.loss_share() < self.limit("stalled", FOOLED):
            return None
        return self.verdict(
            "stalled",
            f"the discriminator cannot tell generated faces from real ones: its loss has been about "
            f"{self.median_loss():.3g} for {self.span()} images, where chance is "
            f"{CHANCE[self.loss]:.2f}{self.last_measures()}",
            change_rates(
                "Raise the discriminator's learning rate or lower the generator's; lower both if both are above 0.001"
            ),
            "balance rates",
        )

    def copying(self) -> Verdict | None:
        """Generated faces that are copies of training faces; see `is_copying`."""
        if not self.measures:
            return None
        last = self.measures[-1]
        if not is_copying(last, self.state == "copying", by_heart=bool(self.memory_remark())):
            return None
        chance, _ = copies_by_chance(last)
        return self.verdict(
            "copying",
            f"generated faces lie nearer to the training faces than fresh faces do (z {last.copying:.1f}), and "
            f"{last.near_copies:.0%} of them as near as {chance:.0%} of fresh ones{self.memory_remark()}",
            "Stop here and keep an earlier save, such as the best one: more training brings more copies."
            f"{self.more_faces()}",
            "stop",
        )

    def worse_than_at_start(self) -> Verdict | None:
        """A Fréchet distance above that of the model that the run began from."""
        if not self.start or is_dead(self.start) or self.measures[-1].frechet <= WORSE * self.start.frechet:
            return None
        falling = len(self.measures) > 2 and self.falling()
        return self.verdict(
            "worse",
            f"worse than at the start: Fréchet distance {self.start.frechet:.1f} then, "
            f"{self.measures[-1].frechet:.1f} now{', but it falls again' if falling else ''}; {self.variety()}"
            f"{self.memory_remark()}",
            "The run's folder stands for the best model so far, even if that is the one it began from. "
            + ("Train on only while the distance falls." if falling else "Stop here, or lower both learning rates.")
            + self.more_faces(),
            "continue" if falling else "stop",
        )

    def no_progress(self) -> Verdict | None:
        """A Fréchet distance that has not improved for long, or has become worse for a while."""
        if self.lowest is None or len(self.reports) < WINDOW or self.reports[0].images < self.lowest.images:
            return None
        later = [measured.frechet for measured in self.measures if measured.images > self.lowest.images]
        if falls(later):  # as after a start from a good model, which new learning rates disturb at first
            return None
        worse = all(distance > WORSE * self.lowest.frechet for distance in later[-RECENT:])
        patience = PATIENCE_WORSE if worse else PATIENCE_FLAT
        if len(later) < patience or self.images_since_best() < PATIENCE_SHARE * self.images:
            return None
        trend = "gets worse" if worse else "no longer improves"
        return self.verdict(
            "stalled",
            f"no better for the last {self.images_since_best():,} images: Fréchet distance "
            f"{self.lowest.frechet:.1f} at best, {later[-1]:.1f} now, so it {trend}{self.memory_remark()}",
            f"Stop here and keep the best save.{self.more_faces()}",
            "stop",
        )

    def no_problem(self) -> Verdict:
        """The verdict when no check applies: "early" until there are two measurements of varied faces, then healthy."""
        if len(self.measures) < 2 or len(self.reports) < WINDOW or not self.was_varied():
            found = self.last_measures() or ", nothing measured yet"
            return self.verdict("early", f"too early to tell{found}", "Go on.", "continue")
        since = self.images_since_best()
        pause = f", the lowest {since:,} images ago" if since and not self.falling() else ""
        remark = self.memory_remark()
        return self.verdict(
            "healthy",
            f"Fréchet distance {self.trend()}{pause}; {self.variety()}{remark}",
            f"Go on.{self.more_faces() if remark else ''}",
            "continue",
        )

    # --- what the checks look at

    def limit(self, state: str, limits: tuple[float, float]) -> float:
        """The limit for leaving `state` if the run is in it, else the one for entering it."""
        entering, leaving = limits
        return leaving if self.state == state else entering

    def last(self, count: int) -> list[Step]:
        """The last `count` reports."""
        return list(self.reports)[-count:]

    def median_loss(self, count: int = WINDOW) -> float:
        """The discriminator's median loss over the last `count` reports."""
        return median(step.d_loss for step in self.last(count))

    def loss_share(self, count: int = WINDOW) -> float:
        """The discriminator's median loss divided by its loss at chance."""
        return abs(self.median_loss(count)) / CHANCE[self.loss]

    def span(self, count: int = WINDOW) -> str:
        """How many images the last `count` reports span."""
        reports = self.last(count)
        return f"{reports[-1].images - reports[0].images:,}"

    def images_since_best(self) -> int:
        """Images seen since the lowest Fréchet distance."""
        return self.images - self.lowest.images if self.lowest else 0

    def falling(self) -> bool | None:
        """Whether the Fréchet distance falls; None while there are fewer than two measurements."""
        return falls([measured.frechet for measured in self.measures])

    def diversity_below(self, limits: tuple[float, float]) -> bool:
        """Whether the last two measurements found a diversity below the limit, and losses are known for as long.

        One measurement is enough for a generator of one picture.
        """
        limit, recent = self.limit("collapsed", limits), list(self.measures)[-2:]
        if limits == NO_DIVERSITY:
            return bool(recent) and recent[-1].diversity < limit
        return len(self.reports) == WINDOW and len(recent) == 2 and all(one.diversity < limit for one in recent)

    def was_varied(self) -> bool:
        """Whether any measurement found sufficiently different faces."""
        return any(measured.diversity > LOW_DIVERSITY[0] for measured in self.measures)

    # --- words

    def trend(self) -> str:
        """The last Fréchet distances."""
        return ", then ".join(f"{measured.frechet:.1f}" for measured in list(self.measures)[-RECENT - 1 :])

    def variety(self) -> str:
        """The last diversity."""
        return f"two generated faces differ {self.measures[-1].diversity:.2f} times as much as two real ones"

    def last_measures(self) -> str:
        """The last measurements, to follow what the losses say; empty without any."""
        return f"; Fréchet distance {self.trend()}; {self.variety()}" if self.measures else ""

    def memory_remark(self) -> str:
        """A remark when the discriminator has memorised its training faces, else an empty string."""
        recent = [measured.memory for measured in list(self.measures)[-RECENT:]]
        if len(recent) < RECENT or not all(value is not None and value > HIGH_MEMORY for value in recent):
            return ""
        return f"; the discriminator knows its training faces by heart ({recent[-1]:.2f}; 0 is not at all, 1 is wholly)"

    def more_faces(self) -> str:
        """Advice for small sets, else an empty string."""
        if self.faces >= ADVISED_FACES:
            return ""
        return f" {self.faces:,} faces are few: add more{', or start from the embedded model' if self.scratch else ''}."


def change_rates(change: str) -> str:
    """Advice to change learning rates, or what else helps where they cannot be chosen, as on the page."""
    return (
        f"{change} (on the command line: --resume with --generator-lr and --discriminator-lr), or begin a new run from "
        "the best save (on the page: Use this model)."
    )


def is_dead(measured: Measured) -> bool:
    """Whether all generated faces are one picture."""
    return measured.diversity < NO_DIVERSITY[0]


def copies_by_chance(measured: Measured) -> tuple[float, float]:
    """The share of near copies to expect without copying, and its standard error; see `chance_of_nearness`."""
    return chance_of_nearness(measured.generated, measured.fresh or measured.reference)


def is_copying(measured: Measured, before: bool = False, by_heart: bool | None = None) -> bool:
    """Whether the generated faces are copies of training faces.

    They must lie nearer to the training faces than fresh faces do, and many of them very near to one. Where there are
    few fresh faces to define "very near", a discriminator that knows its training faces by heart counts instead.

    before: whether the run was found to copy before; lower limits apply then.
    by_heart: whether the discriminator knows its faces by heart; by default as this one measurement says.
    """
    if by_heart is None:
        by_heart = measured.memory is not None and measured.memory > HIGH_MEMORY
    chance, error = copies_by_chance(measured)
    enough, nearer = (limits[1 if before else 0] for limits in (MANY_COPIES, NEARER))
    many = measured.near_copies > chance + enough * error
    return measured.copying <= -nearer and (many or by_heart)


def falls(distances: list[float]) -> bool | None:
    """Whether the lowest of the last few distances is below that of the few before; None for fewer than two."""
    recent = min(RECENT, len(distances) - 1)
    if recent < 1:
        return None
    earlier = distances[:-recent][-RECENT:]
    return min(distances[-recent:]) < FALLEN * min(earlier)
