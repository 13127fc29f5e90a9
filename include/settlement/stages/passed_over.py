"""Settlement dates that were passed over: past their cut-off, older than the newest settled one, and not settled."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

from settlement.domain.breaks import Finding
from settlement.domain.computation import source_changes
from settlement.domain.days import Window, Windows
from settlement.ports.books import Books
from settlement.ports.services import Services
from settlement.ports.source import SourceSnapshot

SHOWN_LOANS = 5


def find(services: Services, books: Books) -> list[Finding]:
    """Return a finding for each date that no run has settled, from the policy's first or else the oldest of ours.

    It says how much money came in the date's window and waits for its run; and, if a later date has settled loans that
    this one would move, which date and loans: such a run runs these again, and needs a reason where that changes them.
    """
    settled = books.days.settled()
    if not settled:
        return []
    windows = Windows(services.calendar, books.days.windows())
    first = services.calendar.first or _oldest(services, books, windows, settled[0])
    missing = sorted({*services.calendar.days_between(first, settled[-1])} - {*settled})
    if not missing:
        return []
    pieces = windows.pieces(missing)
    with services.core.snapshot() as source:
        filled = source.digests(source_changes.boundaries(pieces))
        return [
            _finding(books, source, on, [window for window in pieces[on] if window.from_at in filled]) for on in missing
        ]


def _oldest(services: Services, books: Books, windows: Windows, settled: date) -> date:
    """Return the oldest settled date, or that of an older receipt that a line was matched with and no run has taken.

    Before anything is settled there is no first date, and what a statement shows is matched: its money waits.
    """
    shown = books.bank_lines.receipts_shown_before(settled)
    waiting = sorted({*shown} - books.inputs.known(shown))
    came = services.core.received_at(waiting) if waiting else {}
    return min([settled, *map(windows.date_of, came.values())])


def _finding(books: Books, source: SourceSnapshot, on: date, windows: Sequence[Window]) -> Finding:
    count, loans, amounts = 0, set(books.inputs.credit_loans(on)), Counter[str]()
    if windows:
        received = source.received(windows)
        waiting = source_changes.new(received, books.inputs.known(received["repayment_id"].tolist()))
        count, loans = len(waiting), loans | {*waiting["loan_id"]}
        known = source.loans(sorted({*waiting["loan_id"]}))
        currency = dict(zip(known["loan_id"], known["currency"], strict=True))
        is_reversal = waiting["reverses_repayment_id"].notna()
        for loan, amount, undoes in zip(waiting["loan_id"], waiting["amount"].tolist(), is_reversal, strict=True):
            if loan in currency:
                amounts[currency[loan]] += -amount if undoes else amount
    evidence: dict[str, Any] = {"receipts": count, "amounts": dict(sorted(amounts.items()))}
    if later := books.inputs.settled_later(on, sorted(loans)):
        evidence["settled_later"] = sorted({settled for settled, _ in later})
        evidence["loans"] = sorted({loan for _, loan in later})[:SHOWN_LOANS]
    alone = next(iter(amounts.items())) if len(amounts) == 1 else (None, None)
    return Finding(
        cause="date_not_settled",
        subject_kind="date",
        subject_id=on.isoformat(),
        currency=alone[0],
        amount=alone[1],
        evidence=evidence,
    )
