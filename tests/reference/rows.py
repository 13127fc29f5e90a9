"""Short names for the rows of small worlds told by hand: one loan L1 in won, in the week of Monday 2 March 2026."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from .world import Holding, Investor, Loan, Note, Receivable, Repayment

SEOUL = ZoneInfo("Asia/Seoul")
MON, TUE, WED, THU, FRI = (date(2026, 3, day) for day in (2, 3, 4, 5, 6))
NEXT_MON = date(2026, 3, 9)
HOLIDAY = date(2026, 3, 10)


def is_business_day(day: date) -> bool:
    return day.weekday() < 5 and day != HOLIDAY


def day(text: str | date) -> date:
    return text if isinstance(text, date) else date.fromisoformat(text)


def loan(loan_id: str = "L1", *, currency: str = "KRW", disbursed_on: str = "2026-01-15") -> Loan:
    return Loan(loan_id=loan_id, currency=currency, disbursed_on=day(disbursed_on))


def note(note_id: str, principal: int, *, loan_id: str = "L1") -> Note:
    return Note(note_id=note_id, loan_id=loan_id, principal=principal)


def held(note_id: str, investor_id: str, since: str = "2020-01-01", until: str | date | None = None) -> Holding:
    return Holding(
        note_id=note_id,
        investor_id=investor_id,
        held_from=day(since),
        held_until_exclusive=day(until) if until else None,
    )


def owed(
    receivable_id: str, component: str, amount: int, due_on: str | date = MON, *, no: int = 1, loan_id: str = "L1"
) -> Receivable:
    return Receivable(
        receivable_id=receivable_id,
        loan_id=loan_id,
        installment_no=no,
        component=component,
        due_on=day(due_on),
        amount=amount,
    )


def paid(
    repayment_id: str, amount: int, on: str | date, at: str = "11:00", *, undoes: str | None = None, loan_id: str = "L1"
) -> Repayment:
    return Repayment(
        repayment_id=repayment_id,
        loan_id=loan_id,
        received_at=datetime.fromisoformat(f"{day(on)}T{at}").replace(tzinfo=SEOUL),
        amount=amount,
        reverses_repayment_id=undoes,
    )


# One loan of one note of 1 000 000 held by a lender, whose interest bears a fee but no tax: all that most clauses need.
SIMPLE = (
    loan(),
    note("N1", 1_000_000),
    held("N1", "LEND"),
    Investor(investor_id="LEND", tax_class="lender"),
    Investor(investor_id="IND", tax_class="individual"),
    Investor(investor_id="CORP", tax_class="corporation"),
)
