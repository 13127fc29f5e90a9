"""Is it right? One answer from what the books say of the newest date, and how far its four steps have come.

The first thing that is wrong is the answer; of what is right, only that everything is.
"""

from dataclasses import dataclass
from datetime import date, datetime

from settlement.domain.alerts.day import Step, StepState
from settlement.domain.days import DayState
from settlement.pages import levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the books and the calendar say; counts are of everything open now, whatever its date."""

    on: date | None
    state: DayState | None
    due: date | None
    deadline: datetime | None
    unknown: int
    breaks: int
    waiting: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer: `key` is a sentence of the catalogue's part `verdict`."""

    level: str
    key: str


def verdict(facts: Facts) -> Verdict:
    """Return the answer to "is it right?"."""
    is_late = facts.deadline is not None and facts.now > facts.deadline
    if facts.due is not None and (facts.on is None or facts.on < facts.due):
        return Verdict(level=levels.WRONG if is_late else levels.WAITING, key="not_run_late" if is_late else "not_run")
    if facts.on is None or facts.state is None:
        return Verdict(level=levels.WAITING, key="nothing_yet")
    if facts.state is DayState.FAILED:
        return Verdict(level=levels.WRONG, key="failed")
    if facts.unknown:
        return Verdict(level=levels.WRONG, key="unknown")
    if not facts.state.is_settled:
        if is_late:
            return Verdict(level=levels.WRONG, key="late")
        return (
            Verdict(level=levels.LOOK, key="approval") if facts.waiting else Verdict(level=levels.WAITING, key="runs")
        )
    if facts.breaks:
        return Verdict(level=levels.LOOK, key="breaks")
    return Verdict(level=levels.RIGHT, key="closed" if facts.state is DayState.CLOSED else "settled")


RUNNING_IN = {
    DayState.OPEN: (Step.EXTRACT, StepState.RUNNING),
    DayState.COMPUTED: (Step.TRANSFER, StepState.RUNNING),
    DayState.AWAITING_APPROVAL: (Step.TRANSFER, StepState.WAITING),
    DayState.PAYING: (Step.RECONCILE, StepState.RUNNING),
}
"""In which of its steps a day of this state is; a settled one has left them all behind."""


def steps(state: DayState, *, revision: int, has_sent: bool) -> list[tuple[Step, StepState | None]]:
    """Return the steps of a day with how far each is; None: it has not begun.

    A day that failed stopped in the first step whose work the books do not show.
    """
    if state is DayState.FAILED:
        stopped = Step.RECONCILE if has_sent else Step.TRANSFER if revision else Step.EXTRACT
        at, how = stopped, StepState.FAILED
    elif state in RUNNING_IN:
        at, how = RUNNING_IN[state]
    else:
        return [(step, StepState.DONE) for step in Step]
    order = list(Step)
    return [
        (step, StepState.DONE if order.index(step) < order.index(at) else how if step is at else None) for step in order
    ]
