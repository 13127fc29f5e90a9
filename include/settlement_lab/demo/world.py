"""A small lender with a history: 300 investors, 68 loans with 50 notes each, five business days around the Lunar New
Year that the demo settles, and two after them that are left for a person.

Method: everything is drawn from one seed, so two worlds of a seed are equal to the row. Most loans are annuities whose
first instalment falls due between 12 and 23 February 2026; a few pay interest until they mature. Most borrowers pay on
the due date or, when that is no business day, by the next business day. Around them stand, each once, the cases that
make a settlement interesting (`CASES` names the loan or investor).

What the lender's system knows on a settlement date is in `facts_until`; what the bank is told, and when, in
`bank_events`. Borrowers pay by transfer; the one whose repayment is reversed pays by direct debit, because that is
how a bank takes a booked receipt back: the debtor's bank refuses the collection, the statement shows the debit.

Always: every repayment arrives at the bank under its `bank_reference`, once, on its own date; a note has one holder on
every date; the notes of a loan add up to its principal. Every name is invented.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from settlement_lab.servers import bank

SEOUL = ZoneInfo("Asia/Seoul")
SETTLEMENT_DATES = (
    date(2026, 2, 12),  # Thursday
    date(2026, 2, 13),  # Friday
    date(2026, 2, 19),  # Thursday, after the weekend and the three days of the Lunar New Year
    date(2026, 2, 20),  # Friday
    date(2026, 2, 23),  # Monday
)
LEFT_DATES = (
    date(2026, 2, 24),  # Tuesday: two loans mature, which makes its payouts the largest of all
    date(2026, 2, 25),  # Wednesday
)
DATES = SETTLEMENT_DATES + LEFT_DATES
LOANS, INVESTORS, NOTES_PER_LOAN = 60, 300, 50
LEFT_LOANS = {
    "L061": LEFT_DATES[0], "L062": LEFT_DATES[0], "L063": LEFT_DATES[0], "L064": LEFT_DATES[0],
    "L065": LEFT_DATES[1], "L066": LEFT_DATES[1], "L067": LEFT_DATES[1], "L068": LEFT_DATES[1],
}  # fmt: skip
"""The loans whose instalments fall due on the dates that are left; the two that mature are in `MATURING`."""
MONTHS = 12
OVERPAID = 70_000  # by the borrower whose loan ends: it goes back
LATE_ADDITION_PPM = 30_000  # late interest runs at the loan's rate and three points more
CLOSED_ACCOUNT = "KR17MOCK0000000013"  # held by the bank, and closed

CASES = {
    "early payer": "L005",
    "late payer": "L010",
    "partial payment": "L015",
    "over-payment": "L060",
    "reversed repayment": "L025",
    "recorded late": "L018",
    "frozen investor": "I007",
    "closed account": "I013",
    "no account": "I021",
}
BULLET_LOANS = ("L020", "L040", "L060", "L061", "L062")
MATURING = BULLET_LOANS[2:]
CORPORATIONS, LENDERS, NONRESIDENTS = range(261, 281), range(281, 291), range(291, 301)

TRANSFER, DIRECT_DEBIT = "CR", "CMS"  # how a bank reference begins

# fmt: off
SURNAMES = (
    "가람", "나래", "도담", "라온", "마루", "바다", "새론", "아라", "자람", "차오름", "큰솔", "타래", "파란", "한별",
)
GIVEN_NAMES = (
    "하윤", "서온", "지안", "도율", "이든", "라엘", "민솔", "보담", "슬아", "다온", "예솔", "해든", "은새", "가온",
    "소담", "윤슬", "초롱", "미르", "나봄", "새암",
)
FOREIGN_NAMES = (
    "Mira Okonjo", "Tomas Lindqvar", "Aiko Harunobe", "Elif Sarandag", "Noah Brightmore",
)
FIRMS = (
    "한솔들 물산", "새벽빛 상사", "온누리 유통", "달무리 기획", "푸른재 건설",
)
LENDING_FIRMS = (
    "두레박 대부", "징검돌 대부", "맑은샘 여신",
)
# fmt: on


class Loan(NamedTuple):
    """A loan, with the rate behind its schedule and the date on which its instalment of these days falls due."""

    loan_id: str
    currency: str
    disbursed_on: date
    borrower: str
    principal: int
    rate_ppm: int
    due_on: date


class Investor(NamedTuple):
    """A row of `core.investors`."""

    investor_id: str
    name: str
    tax_class: str
    status: str
    payout_account: str | None
    payout_bank: str | None


class Note(NamedTuple):
    """A row of `core.notes`."""

    note_id: str
    loan_id: str
    principal: int


class Holding(NamedTuple):
    """A row of `core.note_holdings`."""

    note_id: str
    investor_id: str
    held_from: date
    held_until_exclusive: date | None


class Receivable(NamedTuple):
    """A row of `core.receivables`."""

    receivable_id: str
    loan_id: str
    installment_no: int
    component: str
    due_on: date
    amount: int
    recorded_at: datetime


class Refund(NamedTuple):
    """A row of `core.refunds`."""

    refund_id: str
    loan_id: str
    currency: str
    amount: int
    payee_name: str
    payee_account: str
    payee_bank: str
    requested_at: datetime


class Repayment(NamedTuple):
    """A row of `core.repayments`."""

    repayment_id: str
    loan_id: str
    received_at: datetime
    amount: int
    bank_reference: str
    reverses_repayment_id: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BankEvent:
    """What the bank is told before it closes a settlement date: a transfer, a direct debit, or its refusal."""

    kind: str  # transfer | direct_debit | refused_direct_debit
    reference: str
    amount: int
    on: date
    payer: str


class World:
    """The lender of one seed. Nothing in it depends on the clock or on the order in which it is asked."""

    def __init__(self, seed: int = 20260212) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a story, not a secret
        self.investors = [self._investor(number) for number in range(1, INVESTORS + 1)]
        self.notes: list[Note] = []
        self.loans = [self._loan(number) for number in range(1, LOANS + 1)]
        self.holdings = list(self._holdings(self.notes))
        self.schedule = [row for loan in self.loans for row in _schedule(loan)]
        self.repayments = sorted(self._repayments(self.loans), key=_when)
        self.late_interest = list(self._late_interest())
        self.refunds = [self._refund()]
        self._add_what_is_left()

    def _add_what_is_left(self) -> None:
        """Add the loans of the dates that are left: drawn after all the rest, which stays as it is without them."""
        notes = len(self.notes)
        loans = [self._loan(number) for number in range(LOANS + 1, LOANS + 1 + len(LEFT_LOANS))]
        self.loans += loans
        self.holdings += self._holdings(self.notes[notes:])
        self.schedule += [row for loan in loans for row in _schedule(loan)]
        self.repayments = sorted([*self.repayments, *self._repayments(loans)], key=_when)

    @property
    def loan(self) -> dict[str, Loan]:
        """Every loan by its id."""
        return {loan.loan_id: loan for loan in self.loans}

    def facts_until(self, day: date) -> dict[str, Sequence[NamedTuple]]:
        """Return the rows of the lender's system by table, as the run of `day` finds them on the morning after."""
        cut_off = datetime.combine(day + timedelta(days=1), time(), SEOUL)
        morning = datetime.combine(day + timedelta(days=1), time(6), SEOUL)
        return {
            "loans": self.loans,
            "investors": self.investors,
            "notes": self.notes,
            "note_holdings": self.holdings,
            "receivables": [row for row in (*self.schedule, *self.late_interest) if row.recorded_at < cut_off],
            "refunds": [row for row in self.refunds if row.requested_at < cut_off],
            "repayments": [r for r in self.repayments if r.received_at < cut_off and r.recorded_at < morning],
        }

    def bank_events(self, day: date) -> list[BankEvent]:
        """Return what the bank is told on the morning of `day`'s window, in the order in which it happens.

        A direct debit is handed in a business day before it is collected. A refusal takes effect the next business day.
        """
        return [event for row in self.repayments for told_on, event in [self._told(row)] if told_on == day]

    def _told(self, row: Repayment) -> tuple[date, BankEvent]:
        """Return what the bank is told of a repayment, and before which settlement date closes."""
        told_on = settlement_date(row.received_at)
        kind = "transfer"
        if row.reverses_repayment_id:
            kind = "refused_direct_debit"
        elif row.bank_reference.startswith(DIRECT_DEBIT):
            kind, told_on = "direct_debit", DATES[DATES.index(told_on) - 1]
        event = BankEvent(
            kind=kind,
            reference=row.bank_reference,
            amount=row.amount,
            on=row.received_at.astimezone(SEOUL).date(),
            payer=self.loan[row.loan_id].borrower,
        )
        return told_on, event

    def _investor(self, number: int) -> Investor:
        investor_id = f"I{number:03d}"
        draw = self.random
        if number in CORPORATIONS:
            name, tax_class = f"{draw.choice(FIRMS)} 제{number - 260}호 주식회사", "corporation"
        elif number in LENDERS:
            name, tax_class = f"{draw.choice(LENDING_FIRMS)} {number - 280}", "lender"
        elif number in NONRESIDENTS:
            name, tax_class = draw.choice(FOREIGN_NAMES), "nonresident"
        else:
            name, tax_class = f"{draw.choice(SURNAMES)}{draw.choice(GIVEN_NAMES)}", "individual"
        account: str | None = f"{draw.randint(100, 999)}-{draw.randint(10, 99)}-{draw.randint(100000, 999999)}"
        bank: str | None = draw.choice(("901", "902", "903", "904"))  # members that no clearing house has
        if investor_id == CASES["closed account"]:
            account, bank = CLOSED_ACCOUNT, None
        elif investor_id == CASES["no account"]:
            account, bank = None, None
        status = "frozen" if investor_id == CASES["frozen investor"] else "active"
        return Investor(investor_id, name, tax_class, status, account, bank)

    def _loan(self, number: int) -> Loan:
        """Return a loan; its notes are made with it, so its principal is theirs."""
        loan_id = f"L{number:03d}"
        draw = self.random
        sizes = [draw.choice((100_000, 200_000, 200_000, 300_000, 500_000, 1_000_000)) for _ in range(NOTES_PER_LOAN)]
        self.notes += [Note(f"{loan_id}-N{n:02d}", loan_id, size) for n, size in enumerate(sizes, start=1)]
        due_on = self._due_date(loan_id)
        if loan_id in MATURING:
            disbursed_on = due_on.replace(year=2021)  # before the tax rate changed; it matures in these days
        elif loan_id in BULLET_LOANS:
            disbursed_on = date(2025, due_on.month + 6, due_on.day)
        else:
            disbursed_on = date(2026, 1, due_on.day)
        borrower = f"{draw.choice(SURNAMES)}{draw.choice(GIVEN_NAMES)}"
        rate_ppm = draw.randrange(80_000, 150_001, 5_000)
        return Loan(loan_id, "KRW", disbursed_on, borrower, sum(sizes), rate_ppm, due_on)

    def _due_date(self, loan_id: str) -> date:
        drawn = date(2026, 2, self.random.choice((12, 12, 13, 13, 14, 15, 16, 17, 18, 19, 19, 20, 20, 21, 22, 23, 23)))
        fixed = {
            CASES["early payer"]: date(2026, 2, 20),
            CASES["late payer"]: date(2026, 2, 12),
            CASES["partial payment"]: date(2026, 2, 13),
            CASES["over-payment"]: date(2026, 2, 20),
            CASES["reversed repayment"]: date(2026, 2, 13),
            **LEFT_LOANS,
        }
        return fixed.get(loan_id, drawn)

    def _holdings(self, notes: Sequence[Note]) -> Iterator[Holding]:
        """Yield who holds what; the first note of the partly paid loan is sold between its two payments."""
        disbursed_on = {loan.loan_id: loan.disbursed_on for loan in self.loans}
        special = [CASES[name] for name in ("frozen investor", "closed account", "no account")]
        for number, note in enumerate(notes):
            # Every loan has the three special investors among its holders now and then, so that their cases show.
            holder = special[number % 3] if number % 97 == 0 else self.random.choice(self.investors).investor_id
            sold_on = date(2026, 2, 19) if note.note_id == f"{CASES['partial payment']}-N01" else None
            yield Holding(note.note_id, holder, disbursed_on[note.loan_id], sold_on)
            if sold_on:
                buyer = next(i.investor_id for i in self.investors if i.investor_id not in (holder, *special))
                yield Holding(note.note_id, buyer, sold_on, None)

    def _repayments(self, loans: Sequence[Loan]) -> Iterator[Repayment]:
        stories = {
            CASES["early payer"]: self._pays_early,
            CASES["late payer"]: self._pays_late,
            CASES["partial payment"]: self._pays_in_two_parts,
            CASES["over-payment"]: self._pays_too_much,
            CASES["reversed repayment"]: self._pays_and_is_reversed,
            CASES["recorded late"]: self._pays_and_is_recorded_late,
        }
        for loan in loans:
            yield from stories.get(loan.loan_id, self._pays)(loan, self._owed(loan))

    def _pays(self, loan: Loan, owed: int) -> Iterator[Repayment]:
        yield self._paid(loan, self._paying_date(loan.due_on), owed)

    def _pays_early(self, loan: Loan, owed: int) -> Iterator[Repayment]:
        yield self._paid(loan, date(2026, 2, 12), owed)

    def _pays_late(self, loan: Loan, owed: int) -> Iterator[Repayment]:
        on = date(2026, 2, 20)
        yield self._paid(loan, on, owed + _late_interest(loan, owed, on))

    def _pays_in_two_parts(self, loan: Loan, owed: int) -> Iterator[Repayment]:
        part, on = owed * 2 // 5, date(2026, 2, 23)
        yield self._paid(loan, date(2026, 2, 13), part)
        yield self._paid(loan, on, owed - part + _late_interest(loan, owed - part, on))

    def _pays_too_much(self, loan: Loan, owed: int) -> Iterator[Repayment]:
        yield self._paid(loan, date(2026, 2, 20), owed + OVERPAID)

    def _pays_and_is_reversed(self, loan: Loan, owed: int) -> Iterator[Repayment]:
        """The direct debit of the 13th is refused on the 19th; the borrower pays by transfer, late, on the 23rd."""
        collected = self._paid(loan, date(2026, 2, 13), owed, reference=DIRECT_DEBIT)
        refused_at = datetime.combine(date(2026, 2, 19), time(10, 20), SEOUL)
        yield collected
        yield collected._replace(
            repayment_id=f"{collected.repayment_id}-X",
            received_at=refused_at,
            reverses_repayment_id=collected.repayment_id,
            recorded_at=refused_at + timedelta(minutes=5),
        )
        on = date(2026, 2, 23)
        yield self._paid(loan, on, owed + _late_interest(loan, owed, on))

    def _pays_and_is_recorded_late(self, loan: Loan, owed: int) -> Iterator[Repayment]:
        """The bank shows the money of Friday the 13th at once; the lender's system learns of it on Monday the 23rd."""
        recorded_at = datetime.combine(date(2026, 2, 23), time(10), SEOUL)
        yield from (paid._replace(recorded_at=recorded_at) for paid in self._pays(loan, owed))

    def _refund(self) -> Refund:
        """On the business day after it, the borrower who paid too much asks for the rest to go back."""
        loan = self.loan[CASES["over-payment"]]
        requested_at = datetime.combine(date(2026, 2, 23), time(11, 30), SEOUL)
        return Refund(
            f"F-{loan.loan_id}", loan.loan_id, "KRW", OVERPAID, loan.borrower, "333-20-600060", "902", requested_at
        )

    def _owed(self, loan: Loan) -> int:
        return sum(row.amount for row in self.schedule if row.loan_id == loan.loan_id and row.due_on == loan.due_on)

    def _paying_date(self, due_on: date) -> date:
        """Return when an ordinary borrower pays: on the due date, or by the next business day if it is none."""
        first_open = next(day for day in DATES if day >= due_on)
        return due_on if self.random.random() < 0.6 else first_open

    def _paid(self, loan: Loan, on: date, amount: int, *, reference: str = TRANSFER) -> Repayment:
        repayment_id = f"P-{loan.loan_id}-{on:%m%d}"
        # One borrower in twenty pays in the last minute of the day.
        minutes = 24 * 60 - 1 if self.random.random() < 0.05 else self.random.randrange(7 * 60, 22 * 60)
        received_at = datetime.combine(on, time(minutes // 60, minutes % 60, self.random.randrange(60)), SEOUL)
        recorded_at = received_at + timedelta(minutes=5)
        return Repayment(
            repayment_id, loan.loan_id, received_at, amount, f"{reference}{on:%Y%m%d}{loan.loan_id}", None, recorded_at
        )

    def _late_interest(self) -> Iterator[Receivable]:
        """Yield the late interest, as loan servicing writes it on the day on which the late money comes."""
        for case in ("late payer", "partial payment", "reversed repayment"):
            loan_id = CASES[case]
            loan = self.loan[loan_id]
            rows = [row for row in self.repayments if row.loan_id == loan_id and not row.reverses_repayment_id]
            on = rows[-1].received_at.astimezone(SEOUL).date()
            late = self._owed(loan) - (rows[0].amount if case == "partial payment" else 0)
            yield Receivable(
                f"{loan_id}-01-LATE",
                loan_id,
                1,
                "late_interest",
                on,
                _late_interest(loan, late, on),
                datetime.combine(on, time(0, 30), SEOUL),
            )


def _when(row: Repayment) -> tuple[datetime, str]:
    return row.received_at, row.repayment_id


def settlement_date(instant: datetime) -> date:
    """Return the settlement date in whose window an instant of the story lies."""
    on = instant.astimezone(SEOUL).date()
    return next(day for day in DATES if day >= on)


def load(owner_url: str, facts: dict[str, Sequence[NamedTuple]]) -> int:
    """Write into the lender's database what is not there yet, and return how many rows that were."""
    written = 0
    with psycopg.connect(owner_url.replace("+psycopg", "")) as connection, connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            statement = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
                sql.Identifier("core", table),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
            )
            rows = [[getattr(row, column) for column in columns] for row in facts[table]]
            if rows:
                cursor.executemany(statement, rows)
                written += cursor.rowcount
    return written


def tell_the_bank(the_bank: bank.Bank, events: Sequence[BankEvent]) -> None:
    """Let the events happen at the bank, each once however often it is told; the closed account is there before."""
    the_bank.open_account("CLOSED", CLOSED_ACCOUNT, owner="해지된 계좌", closed=True)
    for event in events:
        if event.kind == "transfer":
            the_bank.receive(reference=event.reference, amount=event.amount, on=event.on, payer=event.payer)
        elif event.kind == "direct_debit":
            the_bank.collect(reference=event.reference, amount=event.amount, on=event.on, payer=event.payer)
        else:
            the_bank.refuse_collection(reference=event.reference)


COLUMNS: dict[str, tuple[str, ...]] = {
    "loans": ("loan_id", "currency", "disbursed_on"),
    "investors": Investor._fields,
    "notes": Note._fields,
    "note_holdings": Holding._fields,
    "receivables": Receivable._fields,
    "repayments": Repayment._fields,
    "refunds": Refund._fields,
}


def _schedule(loan: Loan) -> Iterator[Receivable]:
    """Yield what the borrower owes by contract: twelve equal instalments, or interest and the principal at the end."""
    recorded_at = datetime.combine(loan.disbursed_on, time(9), SEOUL)

    def row(number: int, component: str, due_on: date, amount: int) -> Receivable:
        name = f"{loan.loan_id}-{number:02d}-{component[:3].upper()}"
        return Receivable(name, loan.loan_id, number, component, due_on, amount, recorded_at)

    if loan.loan_id in BULLET_LOANS:
        maturing = loan.loan_id in MATURING
        number = 60 if maturing else 6
        yield row(number, "interest", loan.due_on, _monthly_interest(loan, loan.principal))
        if maturing:
            yield row(number, "principal", loan.due_on, loan.principal)
        return
    outstanding = loan.principal
    instalment = _annuity(loan)
    for number in range(1, MONTHS + 1):
        interest = _monthly_interest(loan, outstanding)
        principal = outstanding if number == MONTHS else instalment - interest
        due_on = _months_later(loan.due_on, number - 1)
        yield row(number, "interest", due_on, interest)
        yield row(number, "principal", due_on, principal)
        outstanding -= principal


def _annuity(loan: Loan) -> int:
    """Return the instalment that pays the loan off in twelve months, cut to ten won; the last one takes the rest."""
    monthly = Fraction(loan.rate_ppm, 12_000_000)
    return int(loan.principal * monthly / (1 - (1 + monthly) ** -MONTHS)) // 10 * 10


def _monthly_interest(loan: Loan, outstanding: int) -> int:
    return outstanding * loan.rate_ppm // 12_000_000


def _late_interest(loan: Loan, owed: int, paid_on: date) -> int:
    return owed * (loan.rate_ppm + LATE_ADDITION_PPM) * (paid_on - loan.due_on).days // 365_000_000


def _months_later(day: date, months: int) -> date:
    month = day.month - 1 + months
    return date(day.year + month // 12, month % 12 + 1, day.day)
