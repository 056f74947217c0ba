"""The verdict on a job in plain words: one line on how it stands, one on what to do, and the numbers behind both."""

from __future__ import annotations

from typing import Any

from app.jobs.store import ACTIVE, STOPPING

UNCHANGED, MUCH_BETTER = 0.95, 0.7  # times the distance at the start
MORE = "Continue training."  # for how long, the field of minutes says
IMPROVE = "Or continue training to improve it."
USE = "Use this model."
AGAIN = "Start a new job from the embedded model."
# By the verdict of the run: how it stands, what to do while the job runs, and what to do once it has ended.
PROBLEMS = {
    "stalled": ("Training no longer improves the faces.", "You can stop: the best model is saved.", USE),
    "collapsed": ("All faces have become nearly the same.", f"Stop this job. {AGAIN}", AGAIN),
    "copying": (
        "The model is beginning to copy your faces.",
        "Stop this job. Add more faces, or train for a shorter time.",
        "Add more faces, or train for a shorter time.",
    ),
    "discriminator winning": (
        "Training is out of balance, so the faces stay as they are.",
        "Stop this job, and start a new one from its model.",
        "Use this model, and start a new job from it.",
    ),
    "diverged": (
        "Training has gone wrong: its numbers are out of range.",
        "The job returns to its last save by itself, once. If it happens again, start a new job from its model.",
        AGAIN,
    ),
}
# What is said instead of a model that was trained elsewhere, which cannot be continued here.
INSTEAD = {MORE: "Use it, and start a new job from it.", IMPROVE: "Or start a new job from it to improve it."}
TRAINED = "Training is done. The model is ready once it is measured and its sliders are fitted."
SAVING = "The job is stopping. Its model is being saved."
WORSE = "The faces are worse than at the start."
KEPT_START = "The model of this job is therefore the one that it started from."


def plain_verdict(
    state: str, lines: list[dict[str, Any]], frechet: float | None, trained: bool = False, can_continue: bool = True
) -> dict[str, Any] | None:
    """Return {"headline", "advice", "details", "technical"} for a job, None before the first verdict.

    state, trained: of the job, see `JobStatus`
    lines: its journal
    frechet: the Fréchet distance of the model that the job stands for, None if it was not measured
    can_continue: whether it can be trained further once it has ended
    """
    verdict = next((line for line in reversed(lines) if line["event"] == "Verdict"), None)
    if verdict is None:
        return None
    measures = [line for line in lines if line["event"] == "Measured"]
    headline, advice = sentences(verdict, measures, state in ACTIVE)
    if state == STOPPING:  # nothing can be decided meanwhile
        advice = SAVING
    elif trained:
        advice = TRAINED
    elif not can_continue:
        for sentence, other in INSTEAD.items():
            advice = advice.replace(sentence, other)
    return {
        "headline": headline,
        "advice": advice,
        "details": details(measures, frechet),
        "technical": f"{verdict['reason']}." if verdict["state"] in (*PROBLEMS, "worse") else "",
    }


def sentences(verdict: dict[str, Any], measures: list[dict[str, Any]], active: bool) -> tuple[str, str]:
    """Return how a job stands and what to do. active: whether it is being trained."""
    state = verdict["state"]
    if state == "worse":
        if verdict.get("action") == "continue":
            better = "They are getting better again."
            return WORSE, f"{better} Keep training." if active else f"{better} {MORE} {KEPT_START}"
        return (
            WORSE,
            f"You can stop this job. {KEPT_START}" if active else f"{KEPT_START} Add more faces and try again.",
        )
    if state in PROBLEMS:
        headline, running, ended = PROBLEMS[state]
        return headline, running if active else ended
    if len(measures) < 2:
        return "Too early to say.", "Keep training until the next measurement." if active else MORE
    ratio = measures[-1]["frechet"] / max(measures[0]["frechet"], 1e-9)
    if ratio > UNCHANGED:
        return "Not much has changed yet.", "Keep training." if active else MORE
    closer = "much closer" if ratio <= MUCH_BETTER else "closer"
    headline = f"The faces are {closer} to yours than at the start."
    return headline, "Training goes well. Keep going." if active else f"{USE} {IMPROVE}"


def details(measures: list[dict[str, Any]], frechet: float | None) -> list[tuple[str, str]]:
    """Return rows of a table: what was measured, and the numbers."""
    if not measures:
        return []
    first, last = measures[0], measures[-1]
    rows = [("Fréchet distance to your faces now (lower is better)", f"{last['frechet']:.1f}")]
    if last is not first:
        rows.insert(0, ("Fréchet distance at the first measurement", f"{first['frechet']:.1f}"))
    if frechet is not None:
        rows.append(("Fréchet distance of the model that is kept", f"{frechet:.1f}"))
    rows.append(("Variety of the faces (1 = as varied as yours)", f"{last['diversity']:.2f}"))
    rows.append(("Faces very close to one of yours (1% is chance)", f"{last['near_copies']:.1%}"))
    if (memory := last.get("memory")) is not None:
        rows.append(("Your faces known by heart (0 = not at all, 1 = fully)", f"{memory:.2f}"))
    return rows
