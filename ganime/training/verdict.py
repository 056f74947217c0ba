"""The events of a training run turned into a verdict: what it is doing, what that was seen by, and what to do."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import NamedTuple

from ganime.config import LOSSES
from ganime.errors import ConfigError
from ganime.measuring.distances import chance_of_nearness
from ganime.training.events import Event, Measured, Step, Verdict

CHANCE = {"bce": 2 * math.log(2), "hinge": 2.0, "relativistic": math.log(2)}  # loss of a discriminator without a clue
WINDOW = 50  # reports of losses that are looked at
SOME = 20  # as many are enough for what no noise can look like
MEASURES = 64  # that are remembered
RECENT = 3  # measures in which the Fréchet distance must have fallen for the run to count as getting better
PATIENCE, PATIENCE_WORSE = 8, 4  # measures without a better one, and with clearly worse ones, that make a run stalled
PATIENCE_SHARE = 0.25  # of all images the run has seen, that these measures must take up
BETTER, FALLEN, WORSE = 0.99, 0.98, 1.05  # times the lowest Fréchet distance
FLAT = 1e-3  # spread of the generator's loss, as a share of it; sampling alone spreads it far more
BLOWN_LOGIT, WIDE_GAP = 1e4, 50.0  # logits of healthy runs stay within tens
FEW_FACES = 2_000
BY_HEART = 0.5  # memory, three times running

# A state is entered at the first value and left at the second, so that a run on the border does not flicker.
WON = (0.1, 0.2)  # the discriminator's loss as a share of CHANCE, while the distance does not fall
WON_OUTRIGHT = (0.01, 0.02)  # the same where no distance is known yet
FOOLED = (1.0, 0.97)  # the same share, from below
BLOWN = (10.0, 5.0)  # the same share, from below
ALIKE = (1 / 3, 0.45)  # diversity, twice running; untrained nets begin there, so only a fall to it is a collapse
DEAD = (0.05, 0.1)  # diversity, twice running, of a generator that draws one picture; untrained nets draw more
COPIED = (4.0, 2.0)  # standard errors by which near copies exceed chance ...
NEARER = (2.0, 1.0)  # ... and by which generated faces lie nearer than fresh ones on the whole


class Finding(NamedTuple):
    """A verdict before it has its place in the run."""

    state: str
    reason: str
    advice: str


class VerdictTracker:
    """Watches one run. Show it every event in order; it says what it thinks after each measurement and at each change.

    loss: the adversarial loss of the run, one of `LOSSES`. faces: how many the run learns from. scratch: whether it
    began from fresh nets.
    What it says depends on the events alone, and it remembers `WINDOW` reports and `MEASURES` measurements, however
    long the run. When the count of images falls, the run has gone back to a save, and what came after is forgotten.
    Raises ConfigError for an unknown loss.
    """

    def __init__(self, loss: str, faces: int, scratch: bool = True) -> None:
        if loss not in CHANCE:
            raise ConfigError(f"loss must be one of {', '.join(LOSSES)}; got {loss!r}.")
        self.loss, self.faces, self.scratch = loss, faces, scratch
        self.state, self.images, self.breaks = "early", 0, 0
        self.reports: deque[Step] = deque(maxlen=WINDOW)
        self.measures: deque[Measured] = deque(maxlen=MEASURES)
        self.lowest: Measured | None = None  # the last one that was better by more than a trace

    def see(self, event: Event) -> Verdict | None:
        """The verdict after a Measured event and whenever a Step event changes the state; None else."""
        if not isinstance(event, Step | Measured):
            return None
        if event.images < self.images:
            self.forget(event.images)
        self.images = event.images
        if isinstance(event, Measured):
            self.measures.append(event)
            if math.isfinite(event.frechet) and (self.lowest is None or event.frechet < BETTER * self.lowest.frechet):
                self.lowest = event
            finding = self.judge()
        elif all(map(math.isfinite, (event.d_loss, event.g_loss, event.d_real, event.d_fake))):
            self.reports.append(event)
            finding = self.judge()
        else:
            self.breaks += self.state != "diverged" or bool(self.reports)
            self.reports.clear()
            finding = self.broken(event)
        changed = finding.state != self.state
        self.state = finding.state
        return Verdict(event.images, *finding) if changed or isinstance(event, Measured) else None

    def forget(self, images: int) -> None:
        """Leave out what lies at or beyond so many images: the run has gone back to before it."""
        self.reports.clear()
        while self.measures and self.measures[-1].images >= images:
            self.measures.pop()
        if self.lowest and self.lowest.images >= images:
            self.lowest = min(self.measures, key=lambda measured: measured.frechet, default=None)

    def judge(self) -> Finding:
        """The gravest that is the case, causes before what follows from them."""
        checks = (self.blown, self.collapsed, self.won, self.flat, self.fooled, self.copied, self.spent)
        return next((finding for check in checks if (finding := check())), None) or self.well()

    def broken(self, step: Step) -> Finding:
        """Losses that are no numbers."""
        rates = "further" if self.breaks > 1 else "to a half"
        return Finding(
            "diverged",
            f"the losses are no longer finite (discriminator {step.d_loss:.4g}, generator {step.g_loss:.4g})",
            f"Go back to the last good save and lower both learning rates {rates} before going on.",
        )

    def blown(self) -> Finding | None:
        """Losses or logits that are numbers still, but beyond all use."""
        if len(self.reports) < SOME:
            return None
        share = self.share(SOME)
        logit = median(max(abs(step.d_real), abs(step.d_fake)) for step in self.last(SOME))
        if not (share > self.limit("diverged", BLOWN) or logit > BLOWN_LOGIT):
            return None
        return Finding(
            "diverged",
            f"the discriminator's loss is {self.loss_now(SOME):.4g}, where {CHANCE[self.loss]:.2f} is what knowing "
            f"nothing gives, and its logits reach {logit:.4g}",
            "Start again from the last good save, or from the beginning, with both learning rates at a tenth.",
        )

    def collapsed(self) -> Finding | None:
        """Generated faces that hardly differ, though they did before or though the generator learns nothing.

        Where they never differed and the losses tell why, the losses have the word.
        """
        dead = self.alike(DEAD)
        if not dead and not self.alike(ALIKE):
            return None
        if not dead and not self.varied() and (self.falling() or self.won() or self.flat() or self.fooled()):
            return None
        lower = "to a tenth" if dead else "to a half; a larger batch helps, too"
        return Finding(
            "collapsed",
            self.variety(),
            f"Go back to the best save, or begin again, and lower the generator's learning rate {lower}."
            f"{self.more_faces()}",
        )

    def alike(self, limits: tuple[float, float]) -> bool:
        limit, lately = self.limit("collapsed", limits), list(self.measures)[-2:]
        return len(self.reports) == WINDOW and len(lately) == 2 and all(one.diversity < limit for one in lately)

    def won(self) -> Finding | None:
        """A discriminator that is always right, so that the generator learns nothing from it any more."""
        falling = self.falling()
        if len(self.reports) < WINDOW or falling:
            return None
        if self.share() >= self.limit("discriminator winning", WON if falling is False else WON_OUTRIGHT):
            return None
        gap = median(step.d_real for step in self.reports) - median(step.d_fake for step in self.reports)
        uneven = "Lower the discriminator's learning rate to a quarter, or raise the generator's; augment the faces."
        rates = "Lower both learning rates to a tenth." if gap > WIDE_GAP else uneven
        return Finding(
            "discriminator winning",
            f"the discriminator's loss has been about {self.loss_now():.2g} for {self.span()} images, where knowing "
            f"nothing gives {CHANCE[self.loss]:.2f}; its logits for real and generated faces lie {gap:.1f} "
            f"apart{self.standing()}",
            f"{rates}{self.more_faces()}",
        )

    def flat(self) -> Finding | None:
        """A generator's loss that stands still to three digits: neither net answers the other."""
        if len(self.reports) < SOME:
            return None
        losses = [step.g_loss for step in self.last(SOME)]
        if max(losses) - min(losses) > FLAT * max(abs(median(losses)), 0.1):
            return None
        return Finding(
            "stalled",
            f"the generator's loss has stood at {median(losses):.4f} for {self.span(SOME)} images, the same to three "
            f"digits, so neither net answers the other any more{self.standing()}",
            "Stop here: more images change nothing. Begin again with the usual learning rates.",
        )

    def fooled(self) -> Finding | None:
        """A discriminator that knows nothing, so that it can teach nothing."""
        if len(self.reports) < WINDOW or self.falling() or self.share() < self.limit("stalled", FOOLED):
            return None
        return Finding(
            "stalled",
            f"the discriminator does not tell generated faces from real ones: its loss has been about "
            f"{self.loss_now():.3g} for {self.span()} images, where knowing nothing gives "
            f"{CHANCE[self.loss]:.2f}{self.standing()}",
            "Raise the discriminator's learning rate or lower the generator's; where both are above 0.001, lower both.",
        )

    def copied(self) -> Finding | None:
        """Generated faces nearer to the training faces than fresh faces are, and some of them next to one.

        Where few fresh faces say how near is near, a discriminator that knows its faces by heart counts instead.
        """
        if not self.measures:
            return None
        now = self.measures[-1]
        chance, error = chance_of_nearness(now.generated, now.reference)
        many = now.near_copies > chance + self.limit("copying", COPIED) * error
        if now.copying > -self.limit("copying", NEARER) or not (many or self.memory()):
            return None
        return Finding(
            "copying",
            f"generated faces lie nearer to the training faces than fresh faces do (z {now.copying:.1f}), and "
            f"{now.near_copies:.0%} of them as near as {chance:.0%} of fresh ones{self.memory()}",
            f"Stop here and keep an earlier save: more training brings more copies.{self.more_faces()}",
        )

    def spent(self) -> Finding | None:
        """A Fréchet distance that has not got better for long, or worse for a while."""
        if self.lowest is None or len(self.reports) < WINDOW or self.reports[0].images < self.lowest.images:
            return None
        later = [measured.frechet for measured in self.measures if measured.images > self.lowest.images]
        if falls(later):  # as after a start from a good model, that new rates disturb at first
            return None
        worse = all(distance > WORSE * self.lowest.frechet for distance in later[-RECENT:])
        if len(later) < (PATIENCE_WORSE if worse else PATIENCE) or self.since() < PATIENCE_SHARE * self.images:
            return None
        return Finding(
            "stalled",
            f"no better for the last {self.since():,} images: Fréchet distance {self.lowest.frechet:.1f} at best, "
            f"{later[-1]:.1f} now, so it {'gets worse' if worse else 'has learned what it can'}{self.memory()}",
            f"Stop here and keep the best save.{self.more_faces()}",
        )

    def well(self) -> Finding:
        """Nothing is the matter, as far as can be told."""
        if len(self.measures) < 2 or len(self.reports) < WINDOW or not self.varied():
            return Finding("early", f"too early to tell{self.standing() or ', nothing measured yet'}", "Go on.")
        pause = f", the lowest {self.since():,} images ago" if self.since() and not self.falling() else ""
        return Finding(
            "healthy",
            f"Fréchet distance {self.trend()}{pause}; {self.variety()}{self.memory()}",
            f"Go on.{self.more_faces() if self.memory() else ''}",
        )

    def limit(self, state: str, limits: tuple[float, float]) -> float:
        return limits[self.state == state]

    def last(self, count: int) -> list[Step]:
        return list(self.reports)[-count:]

    def loss_now(self, count: int = WINDOW) -> float:
        return median(step.d_loss for step in self.last(count))

    def share(self, count: int = WINDOW) -> float:
        """The discriminator's loss as a share of what knowing nothing gives."""
        return abs(self.loss_now(count)) / CHANCE[self.loss]

    def span(self, count: int = WINDOW) -> str:
        reports = self.last(count)
        return f"{reports[-1].images - reports[0].images:,}"

    def since(self) -> int:
        """Images since the lowest Fréchet distance."""
        return self.images - self.lowest.images if self.lowest else 0

    def falling(self) -> bool | None:
        """Whether the Fréchet distance falls; None while that is not known."""
        return falls([measured.frechet for measured in self.measures])

    def trend(self) -> str:
        return ", then ".join(f"{measured.frechet:.1f}" for measured in list(self.measures)[-RECENT - 1 :])

    def varied(self) -> bool:
        """Whether the generated faces differed once as they should."""
        return any(measured.diversity > ALIKE[0] for measured in self.measures)

    def variety(self) -> str:
        return f"two generated faces differ {self.measures[-1].diversity:.2f} times as much as two real ones"

    def standing(self) -> str:
        """What was measured, behind what the losses say."""
        return f"; Fréchet distance {self.trend()}; {self.variety()}" if self.measures else ""

    def memory(self) -> str:
        """A remark where the discriminator knows its training faces by heart."""
        known = [measured.memory for measured in list(self.measures)[-RECENT:]]
        if len(known) < RECENT or not all(value is not None and value > BY_HEART for value in known):
            return ""
        return f"; the discriminator knows its training faces by heart ({known[-1]:.2f}; 0 is not at all, 1 is wholly)"

    def more_faces(self) -> str:
        if self.faces >= FEW_FACES:
            return ""
        return f" {self.faces:,} faces are few: add more{', or start from the embedded model' if self.scratch else ''}."


def falls(distances: list[float]) -> bool | None:
    """Whether the last few are lower than the few before them; None for fewer than two."""
    recent = min(RECENT, len(distances) - 1)
    return min(distances[-recent:]) < FALLEN * min(distances[:-recent][-RECENT:]) if recent > 0 else None
