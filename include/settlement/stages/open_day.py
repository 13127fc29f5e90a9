"""Opening a settlement date in the name of a run."""

from datetime import date, datetime

from settlement.domain.errors import NotASettlementDate, RequestRefused
from settlement.ports.days import DayRun, RunRequest
from settlement.ports.services import Services


def open_day(services: Services, request: RunRequest, *, now: datetime) -> DayRun:
    """Return the settlement date that the run works on, opened in its name; another run of the date is displaced.

    Raises RequestRefused: the date is no settlement date, or its cut-off has not passed; the nearest right dates are
        named.
    """
    on = request.settlement_date or _due(services, request.run_id, now=now)
    if on is None:
        raise RequestRefused("There is no settlement date whose cut-off has passed: nothing can be settled yet")
    try:
        services.calendar.check(on, now=now)
    except NotASettlementDate as error:
        with services.ledger.books(read_only=True) as books:
            is_settled = on in books.days.settled()
        if not is_settled:  # what is settled stays a settlement date, whatever the calendar says later
            raise RequestRefused(str(error)) from None

    with services.ledger.books(settlement_date=on, read_only=request.dry_run) as books:
        return books.days.open(request, settlement_date=on, now=now)


def _due(services: Services, run_id: str, *, now: datetime) -> date | None:
    """Return the oldest date past its cut-off that lies after the first settled one and is not settled, or the newest.

    A run that is cleared keeps the date that it took on. None: no cut-off has passed yet.
    """
    newest = services.calendar.newest_settleable(now)
    with services.ledger.books(read_only=True) as books:
        if opened := books.days.run(run_id):
            return opened.settlement_date
        settled = books.days.settled()
    if newest is None or not settled:
        return newest
    left_out = [on for on in services.calendar.days_between(settled[0], newest) if on not in set(settled)]
    return left_out[0] if left_out else newest
