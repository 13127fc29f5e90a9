"""How a state looks: a level, which a page shows as a shape and a colour beside its word."""

from collections.abc import Mapping

from settlement.domain.breaks import BreakState
from settlement.domain.days import DayState
from settlement.domain.payments.state import PayoutState

RIGHT, WAITING, LOOK, WRONG = "right", "waiting", "look", "wrong"

OF_DAYS: Mapping[str, str] = {
    DayState.OPEN: WAITING,
    DayState.COMPUTED: WAITING,
    DayState.AWAITING_APPROVAL: LOOK,
    DayState.PAYING: WAITING,
    DayState.SETTLED: RIGHT,
    DayState.SETTLED_WITH_BREAKS: LOOK,
    DayState.CLOSED: RIGHT,
    DayState.FAILED: WRONG,
}
OF_PAYOUTS: Mapping[str, str] = {
    PayoutState.PREPARED: WAITING,
    PayoutState.APPROVED: WAITING,
    PayoutState.SUBMITTED: WAITING,
    PayoutState.UNKNOWN: WRONG,
    PayoutState.ACCEPTED: WAITING,
    PayoutState.BOOKED: RIGHT,
    PayoutState.REJECTED: LOOK,
    PayoutState.RETURNED: LOOK,
}
OF_BREAKS: Mapping[str, str] = {
    BreakState.OPEN: LOOK,
    BreakState.ASSIGNED: WAITING,
    BreakState.RESOLVED: RIGHT,
    BreakState.WRITTEN_OFF: RIGHT,
}
