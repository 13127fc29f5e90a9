"""The settlement rules once more, written from their text alone: short, plain, sequential, in Python integers.

It plays the settlement dates of a `World` one after the other and keeps its own books, one set per loan, because no
rule lets one loan touch another. For every date and loan it

1. takes the repayments of the window and the late arrivals, in order (§1);
2. plays held credits, repayments and reversals one by one on a copy of the books (§2, §3, §4, §5);
3. if that meets a refusal, throws the copy away and plays the reversals alone, with the rest quarantined (§8);
   otherwise pays back what refunds ask for of the credits that are held by then (§2);
4. writes what it did as rows and entries (§6); every entry must sum to zero.

A run of a date that is settled already, or that lies before one, replays the loans of §9 from the books they had
before that date. Nothing here is fast or clever: where it differs from the engine, read the rules.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .opening import Position
from .world import Facts, Loan, Note, Receivable, Refund, Repayment, World

COMPONENTS = ("cost", "late_interest", "interest", "principal")
TAXED = ("late_interest", "interest")
PPM = 1_000_000
UNDONE = "refund_undone"  # a person's, who is no run
TAKEN_OVER = "opening_position"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    settlement_date: date
    repayment_id: str
    receivable_id: str
    currency: str
    component: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    settlement_date: date
    repayment_id: str
    receivable_id: str
    note_id: str
    investor_id: str
    currency: str
    component: str
    gross: int
    fee: int
    vat: int
    national: int
    local: int

    @property
    def net(self) -> int:
        return self.gross - self.fee - self.vat - self.national - self.local

    def negated(self, settlement_date: date, repayment_id: str) -> "Share":
        return replace(
            self,
            settlement_date=settlement_date,
            repayment_id=repayment_id,
            gross=-self.gross,
            fee=-self.fee,
            vat=-self.vat,
            national=-self.national,
            local=-self.local,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One journal entry; `of` is the repayment whose money it moves, `reverses` the entry of the loan it undoes."""

    settlement_date: date
    event: str
    repayment_id: str
    of: str
    currency: str
    postings: dict[str, int]
    reverses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    settlement_date: date
    loan_id: str
    repayment_id: str  # or the refund
    currency: str
    amount: int
    rule: str
    released_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    loan_id: str
    repayment_id: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run made of a repayment or reversal that it took, or of a repayment that it cancelled beforehand."""

    repayment_id: str
    outcome: str  # settled, quarantined, cancelled, reversal (of settled rows), refused (an orphan)
    is_extracted_now: bool = False
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What a person returned of a refund once a date was the newest settled one."""

    after: date
    loan_id: str
    refund_id: str
    amount: int


@dataclass(slots=True)
class Books:
    """Everything that ever happened to one loan, in order."""

    settled: dict[str, date] = field(default_factory=dict)  # repayments and reversals: the date that settled them
    undone: dict[str, str] = field(default_factory=dict)  # reversed or cancelled repayment -> its reversal
    extracted: set[str] = field(default_factory=set)
    allocated: Counter[str] = field(default_factory=Counter)  # by receivable
    paid: Counter[str] = field(default_factory=Counter)  # principal, by note
    allocations: list[Allocation] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    credits: list[Credit] = field(default_factory=list)
    quarantine: list[Quarantined] = field(default_factory=list)
    refunds: dict[str, date] = field(default_factory=dict)  # the date that took them
    opened: set[str] = field(default_factory=set)  # repayments that another system booked and did not apply

    def copy(self) -> "Books":
        return Books(
            dict(self.settled),
            dict(self.undone),
            set(self.extracted),
            Counter(self.allocated),
            Counter(self.paid),
            list(self.allocations),
            list(self.shares),
            list(self.entries),
            list(self.credits),
            list(self.quarantine),
            dict(self.refunds),
            set(self.opened),
        )

    def known(self) -> set[str]:
        """Return the repayments that the books have: taken, kept back, or cancelled before they came."""
        kept = {row.repayment_id for row in self.quarantine if row.rule != "refund_exceeds_credit"}
        return self.extracted | self.settled.keys() | self.undone.keys() | kept

    def settled_in(self) -> str | None:
        """Return the currency in which money of the loan was settled, if any was."""
        return next((e.currency for e in self.entries if e.event in ("repayment_distributed", TAKEN_OVER)), None)

    def on(self, day: date) -> tuple[Any, ...]:
        """Return what the date made of this loan, comparable with `==`."""
        return (
            [a for a in self.allocations if a.settlement_date == day],
            [s for s in self.shares if s.settlement_date == day],
            [replace(q, released_on=None) for q in self.quarantine if q.settlement_date == day],
            [q.repayment_id for q in self.quarantine if q.released_on == day],
            [(e.event, e.of, e.postings) for e in self.entries if e.settlement_date == day and e.event != UNDONE],
        )


class Refused(Exception):
    """A rule of §8 refuses the loan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    count: int  # extracted repayments and reversals of extracted ones
    received: int
    distributed: int
    fee: int
    vat: int
    national: int
    local: int
    cost: int
    credit: int
    quarantined: int
    refunded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a settlement date did (rows of its latest revision), and where the books stand after the last run."""

    settlement_date: date
    revision: int
    allocations: list[Allocation]
    shares: list[Share]
    entries: list[Entry]
    quarantined: list[Quarantined]  # rows opened on this date
    released: list[Quarantined]  # rows released on this date, whenever opened
    totals: dict[str, Totals]  # by currency
    outcomes: list[Outcome]  # what became of the repayments and reversals of the run
    breaks: dict[tuple[str, str], int]  # (cause, loan or repayment) that the run found, old or new: the money concerned
    credits: list[Credit]  # all that is held now, per loan in the order in which it came to be held
    refunds: list[str]  # taken on this date
    balances: dict[tuple[str, str], int]  # (account, currency), without zeros


class Reference:
    """Plays the runs of a world; `run` does one settlement date, `result` tells what a date came to."""

    def __init__(self, world: World, policy: Any) -> None:
        self.world = world
        self.policy = policy
        self.zone = ZoneInfo(policy.timezone)
        self.runs = 0
        self.books: dict[str, Books] = {}
        self.revisions: dict[date, int] = {}  # settled dates
        self.before: dict[date, dict[str, Books]] = {}  # books of a loan before a date that touched it
        self.saw: dict[date, dict[str, tuple[Any, tuple[Any, ...]]]] = {}  # policy and facts by loan
        self.was: dict[str, Repayment] = {}  # every repayment that was ever taken, as it was then
        self.changed_rows: set[str] = set()  # of these, those that the source says otherwise now, or no longer
        self.kept_waiting: set[str] = set()  # of these, those that a run does not try; a replay does
        self.waiting: set[str] = set()  # loans that are in another currency now than their money was settled in
        self.returned: list[Returned] = []
        self.first: date | None = None  # the first date, of a lender that settled elsewhere before
        self.credited: dict[str, Repayment] = {}  # what of its held credits is asked of a repayment
        self.outcomes: list[Outcome] = []
        self.breaks: dict[tuple[str, str], int] = {}

    # --- §10 taking over ------------------------------------------------------------------------------------

    def take_over(self, positions: Collection[Position], first: date) -> None:
        """Begin with what another system left behind, as of the business day before the first settlement date."""
        assert not self.revisions and not self.books
        self.first, opened_on = first, first - timedelta(days=1)
        while not self.world.is_business_day(opened_on):
            opened_on -= timedelta(days=1)
        facts = self.world.seen(self.runs)
        loan_of = {note.note_id: loan for loan, notes in facts.notes.items() for note in notes}
        loan_of |= {r.receivable_id: loan for loan, receivables in facts.receivables.items() for r in receivables}

        def book(loan_id: str, repayment_id: str, position: Position, account: str) -> None:
            signed = -position.amount if account == "receipts_in_transit" else position.amount
            made = Entry(
                settlement_date=opened_on,
                event=TAKEN_OVER,
                repayment_id=repayment_id,
                of=repayment_id,
                currency=position.currency,
                postings={"opening_balance": signed, account: -signed},
            )
            self.books.setdefault(loan_id, Books()).entries.append(made)

        for position in positions:
            of, amount = position.subject_id, position.amount
            if position.kind == "note_principal_repaid":
                self.books.setdefault(loan_of[of], Books()).paid[of] = amount
            elif position.kind == "receivable_paid":
                self.books.setdefault(loan_of[of], Books()).allocated[of] = amount
            elif position.kind == "borrower_credit":
                id = f"opening:{of}"
                book(of, id, position, f"borrower_credit:{of}")
                begins = datetime.combine(opened_on, time(), self.zone).astimezone(UTC)
                self.credited[id] = Repayment(repayment_id=id, loan_id=of, received_at=begins, amount=amount)
                credit = Credit(loan_id=of, repayment_id=id, currency=position.currency, amount=amount)
                self.books[of].credits.append(credit)
            elif position.kind == "repayment_unallocated":
                row = self.was[of] = facts.repayments[of]
                book(row.loan_id, of, position, "repayments_unallocated")
                self.books[row.loan_id].opened.add(of)
            elif position.kind == "investor_payable":
                book("", "", position, f"investor_payable:{of}")
            else:
                names = {"receipt_in_transit": "receipts_in_transit", "payout_in_transit": "payouts_in_transit"}
                book("", "", position, names.get(position.kind, position.kind))

    def is_before(self, row: Repayment) -> bool:
        """Tell whether a repayment came before the first window, and was settled elsewhere."""
        is_early = self.first is not None and row.received_at < self.window(self.first)[0]
        return is_early and row.repayment_id not in self.books.get(row.loan_id, Books()).opened

    # --- §1 the day -----------------------------------------------------------------------------------------

    def cut_off(self, day: date) -> datetime:
        hours, minutes = map(int, self.policy.cut_off.split(":"))
        if hours == 24:
            day, hours = day + timedelta(days=1), 0
        return datetime.combine(day, time(hours, minutes), self.zone).astimezone(UTC)

    def settlement_date_of(self, instant: datetime) -> date:
        """Return the business day in whose window the instant lies."""
        day = instant.astimezone(self.zone).date()
        while not (self.world.is_business_day(day) and instant < self.cut_off(day)):
            day += timedelta(days=1)
        return day

    def window(self, day: date) -> tuple[datetime, datetime]:
        former = day - timedelta(days=1)
        while not self.world.is_business_day(former):
            former -= timedelta(days=1)
        return self.cut_off(former), self.cut_off(day)

    def run(self, day: date, policy: Any = None) -> Result:
        """Settle the date, or settle it again; the source is seen as by the next run of the world."""
        assert self.world.is_business_day(day), f"[{day}] is no settlement date"
        self.policy = policy or self.policy
        facts = self.world.seen(self.runs)
        self.runs += 1
        self.changed_rows = {
            id for books in self.books.values() for id in books.known() if facts.repayments.get(id) != self.was[id]
        }
        self.kept_waiting = self.changed_rows
        self.waiting = {
            loan_id
            for loan_id, books in self.books.items()
            if loan_id in facts.loans and books.settled_in() not in (None, facts.loans[loan_id].currency)
        }
        is_new = day not in self.revisions
        self.is_newest_for_the_first_time = is_new and day > max(self.revisions, default=date.min)
        later = sorted(d for d in self.revisions if d > day)
        if is_new and not later:
            self.revisions[day] = 1
            facts = self.as_taken(facts, {id for books in self.books.values() for id in books.known()})
            self.play(day, facts, self.loans_with_money(day, facts) - self.waiting)
            self.breaks = dict(self.breaks_of(self.taken(day, facts), facts))
        else:
            loans = self.loans_to_replay(day, facts, is_new) - self.waiting
            facts, self.kept_waiting = self.as_taken(facts, self.was.keys()), set()
            self.revisions.setdefault(day, 0)
            self.replay(day, later, facts, loans)
            if is_new:
                self.revisions[day] = 1
        return self.result(day)

    def as_taken(self, facts: Facts, ids: Collection[str]) -> Facts:
        """Return the facts with these repayments as they were taken: no later word of the source is absorbed (§9)."""
        return replace(facts, repayments=facts.repayments | {id: self.was[id] for id in ids})

    def taken(self, day: date, facts: Facts) -> dict[str, list[Repayment]]:
        """Return the repayments and reversals that a run of the date takes, by loan, in order."""
        taken: dict[str, list[Repayment]] = defaultdict(list)
        for row in facts.repayments.values():
            books = self.books.get(row.loan_id, Books())
            window = self.settlement_date_of(row.received_at)
            is_late = (window < day and window in self.revisions) or row.repayment_id in books.opened
            is_done = row.repayment_id in books.settled or row.repayment_id in books.undone
            if (window == day or is_late) and not is_done and row.repayment_id not in self.kept_waiting:
                taken[row.loan_id].append(row)
        for rows in taken.values():
            rows.sort(key=lambda row: (row.received_at, row.repayment_id.encode()))
        return taken

    def asked(self, day: date, facts: Facts) -> dict[str, list[Refund]]:
        """Return the refunds that a run of the date decides, by loan, in order."""
        asked: dict[str, list[Refund]] = defaultdict(list)
        for refund in facts.refunds.values():
            is_taken = refund.refund_id in self.books.get(refund.loan_id, Books()).refunds
            is_elsewhere = self.first is not None and refund.requested_at < self.window(self.first)[0]
            if refund.requested_at < self.cut_off(day) and not is_taken and not is_elsewhere:
                asked[refund.loan_id].append(refund)
        for refunds in asked.values():
            refunds.sort(key=lambda refund: (refund.requested_at, refund.refund_id.encode()))
        return asked

    def loans_with_money(self, day: date, facts: Facts) -> set[str]:
        held = {loan for loan, books in self.books.items() if books.credits}
        return set(self.taken(day, facts)) | held | set(self.asked(day, facts))

    def play(self, day: date, facts: Facts, loans: set[str]) -> None:
        taken, asked = self.taken(day, facts), self.asked(day, facts)
        before, saw = self.before.setdefault(day, {}), self.saw.setdefault(day, {})
        for loan_id in sorted(loans & (facts.loans.keys() | asked.keys()), key=str.encode):
            books = before[loan_id] = self.books.get(loan_id, Books())
            if loan_id not in facts.loans:  # nothing is held on it
                self.books[loan_id] = books.copy()
                for refund in asked[loan_id]:
                    self.refuse_refund(day, self.books[loan_id], refund)
                continue
            saw[loan_id] = (self.policy, facts.of_loan(loan_id))
            loan_day = LoanDay(self, day, facts, facts.loans[loan_id])
            self.books[loan_id] = loan_day.settle(books, taken.get(loan_id, []), asked.get(loan_id, []))
            for id in self.books[loan_id].known():
                self.was.setdefault(id, facts.repayments[id])
        self.outcomes = list(self.outcomes_of(taken, before, facts))

    def refuse_refund(self, day: date, books: Books, refund: Refund) -> None:
        """Write that a refund is refused, unless an earlier run has (§8)."""
        row = Quarantined(
            settlement_date=day,
            loan_id=refund.loan_id,
            repayment_id=refund.refund_id,
            currency=refund.currency,
            amount=refund.amount,
            rule="refund_exceeds_credit",
        )
        if not any(kept.repayment_id == row.repayment_id and kept.released_on is None for kept in books.quarantine):
            books.quarantine.append(row)

    def outcomes_of(
        self, taken: dict[str, list[Repayment]], before: dict[str, Books], facts: Facts
    ) -> Iterator[Outcome]:
        for loan_id, rows in taken.items():
            if loan_id not in facts.loans:
                yield from (Outcome(repayment_id=row.repayment_id, outcome="refused") for row in rows)
                continue
            if loan_id not in before:
                continue
            old, new = before[loan_id], self.books[loan_id]
            cancelled = {id for id in new.undone.keys() - old.undone.keys() if id not in new.settled}
            named = {row.repayment_id for row in rows} | cancelled
            for id in named:
                if id in cancelled or any(new.undone[c] == id for c in cancelled):
                    outcome = "cancelled"
                elif id in new.settled:
                    outcome = "reversal" if id in new.undone.values() else "settled"
                else:
                    outcome = "quarantined"
                yield Outcome(
                    repayment_id=id,
                    outcome=outcome,
                    is_extracted_now=id in new.extracted - old.extracted,
                    held=sum(credit.amount for credit in new.credits if credit.repayment_id == id),
                )

    def breaks_of(self, taken: dict[str, list[Repayment]], facts: Facts) -> Iterator[tuple[tuple[str, str], int]]:
        for loan_id, rows in taken.items():
            if loan_id not in facts.loans:
                yield from ((("orphan_repayment", row.repayment_id), row.amount) for row in rows)
        for loan_id, books in self.books.items():
            receivables = facts.receivables.get(loan_id, [])
            if books.credits and not any(r.amount > books.allocated[r.receivable_id] for r in receivables):
                yield ("overpaid", loan_id), sum(credit.amount for credit in books.credits)
            kept = [
                row
                for row in books.quarantine
                if row.released_on is None and row.repayment_id not in self.kept_waiting  # which is a break of its own
            ]
            alone = ("bad_reversal", "before_opening", "refund_exceeds_credit")
            yield from (((k.rule, k.repayment_id), k.amount) for k in kept if k.rule in alone)
            if any(k.rule not in alone for k in kept):
                yield ("quarantined", loan_id), sum(k.amount for k in kept if k.rule not in alone)

    # --- §9 running a day again -----------------------------------------------------------------------------

    def loans_to_replay(self, day: date, facts: Facts, is_new: bool) -> set[str]:
        """Return the loans whose facts changed since the date saw them, or that a date settled late must play."""
        in_window = {
            row.loan_id
            for row in facts.repayments.values()
            if self.settlement_date_of(row.received_at) == day
            and row.repayment_id not in self.books.get(row.loan_id, Books()).settled
        }
        if is_new:
            facts = self.as_taken(facts, {id for books in self.books.values() for id in books.known()})
            every = {r.loan_id for r in facts.repayments.values() if self.settlement_date_of(r.received_at) == day}
            before = {loan: self.books_before(loan, day) for loan in self.books}
            held = {loan for loan, books in before.items() if books.credits}
            opened = {
                loan for loan, books in before.items() if books.opened - books.settled.keys() - books.undone.keys()
            }
            asking = {
                r.loan_id
                for r in facts.refunds.values()
                if r.requested_at < self.cut_off(day) and r.refund_id not in self.books_before(r.loan_id, day).refunds
            }
            return every | held | set(self.taken(day, facts)) | asking | opened
        may_be_paid = self.policy.waterfall.excess != "hold"  # in advance
        return in_window | {
            loan_id
            for loan_id, (policy, saw) in self.saw[day].items()
            if policy != self.policy or self.changed(day, saw, facts.of_loan(loan_id), counts_not_due=may_be_paid)
        }

    @staticmethod
    def changed(day: date, old: tuple[Any, ...], new: tuple[Any, ...], *, counts_not_due: bool) -> bool:
        """Tell whether a row differs, is gone, or is new and due or held by the date."""
        if old[0] != new[0] or old[1] != new[1]:
            return True
        gone_or_differs = [row for i in (2, 3, 4) for row in set(old[i]) - set(new[i])]
        new_holdings = [h for h in set(new[2]) - set(old[2]) if h.held_from <= day]
        new_receivables = [r for r in set(new[4]) - set(old[4]) if r.due_on <= day or counts_not_due]
        holders = {h.investor_id for h in old[2]}
        new_classes = [investor_id for investor_id, _ in set(new[3]) - set(old[3]) if investor_id in holders]
        return bool(gone_or_differs or new_holdings or new_receivables or new_classes)

    def books_before(self, loan_id: str, day: date) -> Books:
        """Return the loan's books as they stood before the date and everything after it."""
        for touched in sorted(d for d in self.before if d >= day):
            if loan_id in self.before[touched]:
                return self.before[touched][loan_id]
        return self.books.get(loan_id, Books())

    def return_refund(self, refund_id: str, amount: int) -> None:
        """Return what is unpaid of a refund to the credits that it was taken from, after the newest date (§2)."""
        (loan_id,) = (loan for loan, books in self.books.items() if refund_id in books.refunds)
        self.returned.append(Returned(after=max(self.revisions), loan_id=loan_id, refund_id=refund_id, amount=amount))
        self.give_back(self.returned[-1])

    def give_back(self, returned: Returned) -> None:
        """Let what was returned be held again: of what the refund took by now, what it took last comes first."""
        before = self.books[returned.loan_id]
        self.before.setdefault(returned.after, {}).setdefault(returned.loan_id, before)
        books = self.books[returned.loan_id] = before.copy()
        payable = f"borrower_payable:{returned.refund_id}"
        undone = {entry.reverses for entry in books.entries}
        taken: Counter[str] = Counter()
        for number, entry in enumerate(books.entries):
            if payable in entry.postings and number not in undone and entry.event in ("refund_ordered", UNDONE):
                taken[entry.of] -= entry.postings[payable]
        left = returned.amount
        for id, part in reversed(list(taken.items())):
            amount = min(part, left)
            left -= amount
            if not amount:
                continue
            (currency,) = {entry.currency for entry in books.entries if payable in entry.postings}
            legs = {payable: amount, f"borrower_credit:{returned.loan_id}": -amount}
            made = Entry(
                settlement_date=returned.after, event=UNDONE, repayment_id=id, of=id, currency=currency, postings=legs
            )
            books.entries.append(made)
            held = sum(credit.amount for credit in books.credits if credit.repayment_id == id)
            credit = Credit(loan_id=returned.loan_id, repayment_id=id, currency=currency, amount=held + amount)
            books.credits = [each for each in books.credits if each.repayment_id != id] + [credit]
        held_by = [
            entry.of for entry in books.entries if entry.postings.get(f"borrower_credit:{returned.loan_id}", 0) < 0
        ]
        books.credits.sort(key=lambda credit: held_by.index(credit.repayment_id))

    def replay(self, day: date, later: list[date], facts: Facts, loans: set[str]) -> None:
        """Run the loans again on every settled date from this one on, from their books before it."""
        dates = [day, *later]
        old = {loan: self.books.get(loan, Books()) for loan in loans}
        for loan in loans:
            self.books[loan] = self.books_before(loan, day)
            for settled in dates:
                self.before.get(settled, {}).pop(loan, None)
                self.saw.get(settled, {}).pop(loan, None)
        for settled in dates:
            taken = {loan: rows for loan, rows in self.taken(settled, facts).items() if loan in loans}
            self.play(settled, facts, loans & self.loans_with_money(settled, facts))
            found = dict(self.breaks_of(taken, facts))
            for returned in self.returned:
                if returned.after == settled and returned.loan_id in loans:
                    self.give_back(returned)
        rows = [fact.row for fact in self.world.facts]
        loan_of = {row.repayment_id: row.loan_id for row in rows if isinstance(row, Repayment)}
        loan_of |= {row.refund_id: row.loan_id for row in rows if isinstance(row, Refund)}
        self.breaks = {
            of: amount
            for breaks, are_of in (
                (self.breaks, False),
                (found, True),
            )  # a run ends and finds breaks of its loans alone
            for of, amount in breaks.items()
            if (loan_of.get(of[1], of[1]) in loans) is are_of
        }
        for settled in dates:
            if any(old[loan].on(settled) != self.books[loan].on(settled) for loan in loans):
                self.revisions[settled] += 1

    # --- what came of it ------------------------------------------------------------------------------------

    def result(self, day: date) -> Result:
        books = list(self.books.values())
        allocations = [a for b in books for a in b.allocations if a.settlement_date == day]
        shares = [s for b in books for s in b.shares if s.settlement_date == day]
        entries = [e for b in books for e in b.entries if e.settlement_date == day]
        return Result(
            settlement_date=day,
            revision=self.revisions[day],
            allocations=allocations,
            shares=shares,
            entries=entries,
            quarantined=[q for b in books for q in b.quarantine if q.settlement_date == day],
            released=[q for b in books for q in b.quarantine if q.released_on == day],
            totals=dict(self.totals(allocations, shares, entries)),
            outcomes=list(self.outcomes),
            breaks=dict(self.breaks),
            credits=[c for b in books for c in b.credits],
            refunds=[refund_id for b in books for refund_id, on in b.refunds.items() if on == day],
            balances=self.balances(),
        )

    def balances(self) -> dict[tuple[str, str], int]:
        """Return what stands on each account by (account, currency), without zeros."""
        balances: Counter[tuple[str, str]] = Counter()
        for entry in (e for b in self.books.values() for e in b.entries):
            for account, amount in entry.postings.items():
                balances[account, entry.currency] += amount
        return {key: amount for key, amount in balances.items() if amount}

    def source_changed(self) -> set[str]:
        """Return the repayments that the source said otherwise than they were taken, and those that wait for a loan."""
        newest, facts = max(self.revisions), self.world.seen(self.runs - 1)
        known = {id for id in self.changed_rows if self.settlement_date_of(self.was[id].received_at) <= newest}
        waiting = {row.repayment_id for loan in self.waiting for row in self.taken(newest, facts).get(loan, [])}
        return known | waiting

    @staticmethod
    def totals(
        allocations: list[Allocation], shares: list[Share], entries: list[Entry]
    ) -> Iterator[tuple[str, Totals]]:
        """Yield the totals of a date per currency: rows and entries must tell the same, and the identity must hold."""
        entries = [e for e in entries if e.event != UNDONE]
        for currency in sorted({e.currency for e in entries}):
            posted: Counter[str] = Counter()
            for entry in entries:
                if entry.currency == currency:
                    for account, amount in entry.postings.items():
                        posted[account.partition(":")[0] if "tax" not in account else account] += amount
            mine = [s for s in shares if s.currency == currency]
            total = Totals(
                count=sum("receipts_in_transit" in e.postings for e in entries if e.currency == currency),
                received=posted["receipts_in_transit"],
                distributed=sum(s.net for s in mine),
                fee=sum(s.fee for s in mine),
                vat=sum(s.vat for s in mine),
                national=sum(s.national for s in mine),
                local=sum(s.local for s in mine),
                cost=sum(a.amount for a in allocations if a.currency == currency and a.component == "cost"),
                credit=-posted["borrower_credit"],
                quarantined=-posted["repayments_unallocated"],
                refunded=-posted["borrower_payable"],
            )
            assert total.distributed == -posted["investor_payable"]
            assert total.fee == -posted["fee_income"] and total.vat == -posted["vat_payable"]
            assert total.national == -posted["tax_payable:national"] and total.local == -posted["tax_payable:local"]
            assert total.cost == -posted["cost_recovered"]
            assert total.received == (
                total.distributed + total.fee + total.vat + total.national + total.local
                + total.cost + total.credit + total.quarantined + total.refunded
            )  # fmt: skip
            yield currency, total


@dataclass(slots=True)
class LoanDay:
    """One loan on one settlement date."""

    reference: Reference
    day: date
    facts: Facts
    loan: Loan
    problems: list[str] = field(default_factory=list)

    @property
    def policy(self) -> Any:
        return self.reference.policy

    @property
    def notes(self) -> list[Note]:
        return self.facts.notes.get(self.loan.loan_id, [])

    @property
    def receivables(self) -> list[Receivable]:
        return self.facts.receivables.get(self.loan.loan_id, [])

    def settle(self, books: Books, rows: list[Repayment], refunds: list[Refund]) -> Books:
        """Return the loan's books after the date, played whole or, if a rule refuses it, with reversals alone."""
        self.problems = []
        attempt = books.copy()
        try:
            self.refuse_what_contradicts_itself()
            self.play(attempt, rows, refused_by=None)
            if self.problems:
                raise Refused(self.problems[0])
            self.refund(attempt, refunds)
        except Refused as refusal:
            attempt = books.copy()
            self.play(attempt, rows, refused_by=str(refusal))
            if not rows and not books.credits:  # only loans with money in the run are checked
                self.refund(attempt, refunds)
        assert all(sum(e.postings.values()) == 0 for e in attempt.entries if e.settlement_date == self.day)
        for note in self.notes:
            assert 0 <= attempt.paid[note.note_id] <= max(note.principal, books.paid[note.note_id])
        return attempt

    def refuse_what_contradicts_itself(self) -> None:
        """§8, the rules about the loan as a whole."""
        if any(r.component not in COMPONENTS for r in self.receivables):
            raise Refused("unknown_component")
        if self.loan.currency not in {*self.policy.payouts, *self.policy.withholding}:
            raise Refused("unknown_currency")
        if not self.notes:
            raise Refused("no_notes")

    def play(self, books: Books, rows: list[Repayment], *, refused_by: str | None) -> None:
        """Take the held credits, then the run's rows in order (§2)."""
        if refused_by is None:
            held, books.credits = books.credits, []
            for credit in held:
                self.apply_credit(books, credit)
        for row in rows:
            if row.reverses_repayment_id is not None:
                self.reverse(books, row)
            elif row.repayment_id not in books.undone:
                self.extract(books, row)
                if refused_by is not None:
                    self.quarantine(books, row, refused_by)
                else:
                    self.distribute(books, row)
                    self.release(books, row.repayment_id)

    def refund(self, books: Books, refunds: list[Refund]) -> None:
        """Pay back what is asked for from the oldest credits, or refuse what asks for more than is held (§2)."""
        for refund in refunds:
            wanted = refund.amount
            if refund.currency != self.loan.currency or wanted > sum(credit.amount for credit in books.credits):
                self.reference.refuse_refund(self.day, books, refund)
                continue
            books.refunds[refund.refund_id] = self.day
            self.release(books, refund.refund_id)
            for credit in list(books.credits):
                part = min(credit.amount, wanted)
                wanted -= part
                if part:
                    legs = {f"borrower_credit:{self.loan.loan_id}": part, f"borrower_payable:{refund.refund_id}": -part}
                    self.post(books, "refund_ordered", credit.repayment_id, credit.repayment_id, legs)
                    books.credits[books.credits.index(credit)] = replace(credit, amount=credit.amount - part)
            books.credits = [credit for credit in books.credits if credit.amount]

    # --- §6 entries and §8 rows -----------------------------------------------------------------------------

    def post(
        self, books: Books, event: str, by: str, of: str, postings: dict[str, int], undoes: int | None = None
    ) -> None:
        books.entries.append(
            Entry(
                settlement_date=self.day,
                event=event,
                repayment_id=by,
                of=of,
                currency=self.loan.currency,
                postings={account: amount for account, amount in postings.items() if amount},
                reverses=undoes,
            )
        )

    def extract(self, books: Books, row: Repayment) -> None:
        if row.repayment_id not in books.extracted | books.opened:
            books.extracted.add(row.repayment_id)
            postings = {"receipts_in_transit": row.amount, "repayments_unallocated": -row.amount}
            self.post(books, "repayment_extracted", row.repayment_id, row.repayment_id, postings)

    def quarantine(self, books: Books, row: Repayment, rule: str) -> None:
        """Keep the row back; one that is kept back already keeps the row it has, unless another rule now names it."""
        for kept in books.quarantine:
            if kept.repayment_id == row.repayment_id and kept.released_on is None:
                return
        books.quarantine.append(
            Quarantined(
                settlement_date=self.day,
                loan_id=self.loan.loan_id,
                repayment_id=row.repayment_id,
                currency=self.loan.currency,
                amount=row.amount,
                rule=rule,
            )
        )

    def release(self, books: Books, of: str) -> None:
        books.quarantine = [
            replace(kept, released_on=self.day) if kept.repayment_id == of and kept.released_on is None else kept
            for kept in books.quarantine
        ]

    # --- §2 cash application --------------------------------------------------------------------------------

    def distribute(self, books: Books, row: Repayment) -> None:
        postings, left = self.pay(books, row, row.amount)
        postings["repayments_unallocated"] += row.amount
        postings[f"borrower_credit:{self.loan.loan_id}"] -= left
        self.post(books, "repayment_distributed", row.repayment_id, row.repayment_id, postings)
        books.settled[row.repayment_id] = self.day
        if left:
            credit = Credit(
                loan_id=self.loan.loan_id,
                repayment_id=row.repayment_id,
                currency=self.loan.currency,
                amount=left,
            )
            books.credits.append(credit)

    def apply_credit(self, books: Books, credit: Credit) -> None:
        id = credit.repayment_id
        row = self.reference.credited.get(id) or self.facts.repayments[id]
        postings, left = self.pay(books, row, credit.amount)
        if left < credit.amount:
            postings[f"borrower_credit:{self.loan.loan_id}"] += credit.amount - left
            self.post(books, "credit_applied", row.repayment_id, row.repayment_id, postings)
        if left:
            books.credits.append(replace(credit, amount=left))

    def pay(self, books: Books, row: Repayment, money: int) -> tuple[Counter[str], int]:
        """Allocate and distribute the money of a repayment; return the postings of it and what is left."""
        before = self.outstanding(books)
        taken, left = [], money
        for receivable in self.in_order():
            amount = min(receivable.amount - books.allocated[receivable.receivable_id], left)
            if amount > 0:
                taken.append((receivable, amount))
                left -= amount
        principal = sum(amount for receivable, amount in taken if receivable.component == "principal")
        outstanding = sum(note.principal - books.paid[note.note_id] for note in self.notes)  # one cut since is below 0
        if principal and principal > outstanding:
            raise Refused("principal_exceeds_outstanding")
        postings: Counter[str] = Counter()
        for receivable, amount in taken:
            books.allocated[receivable.receivable_id] += amount
            books.allocations.append(
                Allocation(
                    settlement_date=self.day,
                    repayment_id=row.repayment_id,
                    receivable_id=receivable.receivable_id,
                    currency=self.loan.currency,
                    component=receivable.component,
                    amount=amount,
                )
            )
            if receivable.component == "cost":
                postings["cost_recovered"] -= amount
                continue
            weights = self.outstanding(books) if receivable.component == "principal" else before
            for share in self.shares(row, receivable, amount, weights):
                books.shares.append(share)
                if share.component == "principal":
                    books.paid[share.note_id] += share.gross
                post_share(postings, share, -1)
        return postings, left

    def in_order(self) -> list[Receivable]:
        """Return the receivables that money may pay on this date, in the policy's order."""
        rank = {component: i for i, component in enumerate(self.policy.waterfall.order)}

        def due(r: Receivable) -> tuple[Any, ...]:
            if self.policy.waterfall.across == "component":
                return rank[r.component], r.due_on, r.installment_no, r.receivable_id.encode()
            return r.due_on, r.installment_no, rank[r.component], r.receivable_id.encode()

        order = sorted((r for r in self.receivables if r.due_on <= self.day), key=due)
        if self.policy.waterfall.excess == "advance_principal":
            order += sorted(
                (r for r in self.receivables if r.due_on > self.day and r.component == "principal"),
                key=lambda r: (r.due_on, r.installment_no, r.receivable_id.encode()),
            )
        if self.policy.waterfall.excess == "advance":
            order += sorted(
                (r for r in self.receivables if r.due_on > self.day),
                key=lambda r: (r.due_on, r.installment_no, rank[r.component], r.receivable_id.encode()),
            )
        return order

    def reverse(self, books: Books, reversal: Repayment) -> None:
        """Undo a repayment whole, or cancel it when it is not settled, or quarantine the reversal alone."""
        original_id = reversal.reverses_repayment_id
        assert original_id is not None
        original = self.facts.repayments.get(original_id)
        if (
            original is None
            or original.reverses_repayment_id is not None
            or original_id in books.undone
            or (original.amount, original.loan_id) != (reversal.amount, reversal.loan_id)
        ):
            self.quarantine(books, reversal, "bad_reversal")
            return
        if self.reference.is_before(original):
            self.quarantine(books, reversal, "before_opening")
            return
        books.undone[original_id] = reversal.repayment_id
        books.settled[reversal.repayment_id] = self.day
        self.release(books, reversal.repayment_id)
        self.release(books, original_id)
        for allocation in [a for a in books.allocations if a.repayment_id == original_id]:
            books.allocated[allocation.receivable_id] -= allocation.amount
            books.allocations.append(
                replace(
                    allocation,
                    settlement_date=self.day,
                    repayment_id=reversal.repayment_id,
                    amount=-allocation.amount,
                )
            )
        for share in [s for s in books.shares if s.repayment_id == original_id]:
            if share.component == "principal":
                books.paid[share.note_id] -= share.gross
            books.shares.append(share.negated(self.day, reversal.repayment_id))
        books.credits = [credit for credit in books.credits if credit.repayment_id != original_id]
        for number, entry in [(i, e) for i, e in enumerate(books.entries) if e.of == original_id]:
            negated = {account: -amount for account, amount in entry.postings.items()}
            if entry.event == TAKEN_OVER:  # the bank takes it back: it goes as it would have gone had we extracted it
                negated["receipts_in_transit"] = negated.pop("opening_balance")
            self.post(books, "repayment_reversed", reversal.repayment_id, original_id, negated, number)

    # --- §3 distribution ------------------------------------------------------------------------------------

    def outstanding(self, books: Books) -> dict[str, int]:
        return {note.note_id: max(0, note.principal - books.paid[note.note_id]) for note in self.notes}

    def shares(self, row: Repayment, receivable: Receivable, amount: int, weights: dict[str, int]) -> Iterator[Share]:
        if not any(weights.values()):
            weights = {note.note_id: note.principal for note in self.notes}
        received_on = row.received_at.astimezone(self.reference.zone).date()
        record_date = received_on if receivable.due_on > self.day else max(received_on, receivable.due_on)
        for (note_id, _), gross in zip(weights.items(), prorate(amount, list(weights.values())), strict=True):
            if gross:
                yield self.share(row, receivable, note_id, gross, self.holder(note_id, record_date))

    def holder(self, note_id: str, record_date: date) -> str:
        """Return who holds the note on the date; a contradiction is noted and names nobody."""
        holders = [
            h.investor_id
            for h in self.facts.holdings.get(note_id, [])
            if h.held_from <= record_date and (h.held_until_exclusive is None or record_date < h.held_until_exclusive)
        ]
        if len(holders) != 1:
            self.problems.append("two_holders" if holders else "no_holder")
            return ""
        if holders[0] not in self.facts.investors:
            self.problems.append("unknown_investor")
            return ""
        return holders[0]

    def share(self, row: Repayment, receivable: Receivable, note_id: str, gross: int, investor_id: str) -> Share:
        fee = vat = 0
        for rule in self.policy.fees:
            begins, ends = rule.settled_from or date.min, rule.settled_until or date.max
            if receivable.component in rule.on and begins <= self.day <= ends:
                charged = gross * rule.rate_ppm // PPM
                fee += charged
                vat += charged * rule.vat_ppm // PPM
        national, local = self.tax(gross, investor_id) if receivable.component in TAXED and investor_id else (0, 0)
        return Share(
            settlement_date=self.day,
            repayment_id=row.repayment_id,
            receivable_id=receivable.receivable_id,
            note_id=note_id,
            investor_id=investor_id,
            currency=self.loan.currency,
            component=receivable.component,
            gross=gross,
            fee=fee,
            vat=vat,
            national=national,
            local=local,
        )

    # --- §5 withholding -------------------------------------------------------------------------------------

    def tax(self, gross: int, investor_id: str) -> tuple[int, int]:
        table = self.policy.withholding.get(self.loan.currency)
        tax_class = self.facts.investors[investor_id].tax_class
        rules = [
            rule
            for rule in (table.rules if table else ())
            if rule.tax_class == tax_class
            and (rule.disbursed_from or date.min) <= self.loan.disbursed_on <= (rule.disbursed_until or date.max)
            and (rule.settled_from or date.min) <= self.day <= (rule.settled_until or date.max)
        ]
        if len(rules) != 1:
            self.problems.append("two_tax_rules" if rules else "no_tax_rule")
            return 0, 0
        return withhold(gross, rules[0].rate_ppm, rules[0].de_minimis, table.unit, table.local_ppm)


def prorate(amount: int, weights: list[int]) -> list[int]:
    """Share the amount by weight; what the floors leave goes one each to the largest remainders, ties to the first."""
    total = sum(weights)
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def withhold(gross: int, rate_ppm: int, de_minimis: int, unit: int, local_ppm: int) -> tuple[int, int]:
    """Return the national and the local tax on a share of interest."""
    national = gross * rate_ppm // PPM // unit * unit
    if national < de_minimis:
        national = 0
    return national, national * local_ppm // PPM // unit * unit


def post_share(postings: Counter[str], share: Share, sign: int) -> None:
    postings[f"investor_payable:{share.investor_id}"] += sign * share.net
    postings["fee_income"] += sign * share.fee
    postings["vat_payable"] += sign * share.vat
    postings["tax_payable:national"] += sign * share.national
    postings["tax_payable:local"] += sign * share.local
