"""Making payouts of what the ledger owes."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from settlement.domain.days import DayState
from settlement.domain.payments import gate as questions
from settlement.domain.payments import payouts
from settlement.domain.payments.files import FileState
from settlement.domain.payments.state import PayoutState
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import apply, gate, standing, take_in


def prepare(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Write the payouts of everything the ledger owes and may pay now, with their entries, and say what is held.

    What earlier days prepared and nobody is going to send goes back to the balances first, and is paid from there. A
    closed day pays nothing more, so that its certificate stays true: what came back since is paid by the next date.

    Raises Refused: something speaks against paying (see `domain.payments.gate`); nothing is prepared.
    """
    if not day.is_paying:
        return {"skipped": "no transfer"}
    take_in.require_bank(services)
    assert services.debtor is not None
    with gate.keeping_objections(services, day, now=now), services.ledger.books(day=day, posting=True) as books:
        day = standing.at_newest(books, day)
        found = books.days.find(day.settlement_date)
        if found is not None and found.state is DayState.CLOSED:
            return {"skipped": "the day is closed: what is owed is paid by the run of the next date"}
        released = _release_stranded(services, books, day, now=now)
        balances = books.payouts.payables()
        prepared, holds = payouts.from_balances(
            balances,
            payees=services.core.payees(*payouts.of_each_kind(balances)),
            policy=services.policy,
            channels={services.debtor.currency},
            refused=books.payouts.refused_accounts(),
            slots=books.payouts.slots(day),
            settlement_date=day.settlement_date,
            revision=day.revision,
        )
        proposal = gate.proposed(services, books, day, prepared=prepared, now=now)
        gate.answer_for(books, day, questions.objections(proposal, services.policy), now=now)
        booked_on = apply.open_date(services, books, day.settlement_date)
        books.payouts.prepare(day, prepared, holds, booked_on=booked_on, now=now)
        waiting = books.payouts.find(day.settlement_date, states=(PayoutState.PREPARED,))
        if len(waiting):
            books.days.set_state(day.settlement_date, DayState.PAYING, now=now)
    return {
        "payouts": len(waiting),
        "amounts": payouts.totals(waiting),
        "held": len(holds),
        "held_amounts": payouts.totals(holds),
    } | ({"released": payouts.totals(released)} if len(released) else {})


def _release_stranded(services: Services, books: Books, day: DayRun, *, now: datetime) -> pd.DataFrame:
    """Give back what earlier days prepared and nobody is going to send: the run failed, or nobody decided in time."""
    waited = timedelta(hours=services.policy.approval.timeout_hours)
    stranded = books.payouts.stranded(before=day.settlement_date, prepared_before=now - waited)
    apply.withdraw(services, books, stranded, cause="released", said={"run_id": day.run_id}, now=now)
    for file_id in sorted(stranded["file_id"].dropna().unique()):
        books.files.mark(file_id, FileState.REJECTED, now=now)
    return stranded
