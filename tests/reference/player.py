"""Plays a world through the engine, a day at a time, and keeps beside it the little that the engine must be told.

What a ledger would remember (positions, credits, earlier rows and entries) is kept here in plain dictionaries, taken
from the engine's own outcomes. `Player.run` has the shape of `Reference.run`; `differences` compares the two.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd
from settlement.domain import frames
from settlement.domain.computation import settle
from settlement.domain.days import SettlementCalendar

from .reference import Result
from .world import Facts, Repayment, World

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class StoryCalendar:
    """The business days of a world, as `SettlementCalendar` asks for them."""

    world: World

    def is_business_day(self, on: date) -> bool:
        return self.world.is_business_day(on)

    def next_business_day(self, on: date) -> date:
        on += timedelta(days=1)
        return on if self.is_business_day(on) else self.next_business_day(on)


@dataclass(slots=True)
class Ledger:
    """What earlier outcomes left behind."""

    states: dict[str, str] = field(default_factory=dict)  # settled, quarantined, cancelled, reversal
    reversed: set[str] = field(default_factory=set)
    allocated: Counter[str] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)
    credits: dict[str, list[Any]] = field(default_factory=dict)  # repayment -> [loan, amount, position]
    allocations: dict[str, Rows] = field(default_factory=lambda: defaultdict(list))
    shares: dict[str, Rows] = field(default_factory=lambda: defaultdict(list))
    entries: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    entries_of: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    last_allocation: int = 0
    last_credit: int = 0
    refunds: dict[str, str] = field(default_factory=dict)  # refused, taken


class Player:
    """Settles the dates of a world with `settle.settle_day`."""

    def __init__(self, world: World, policy: Any, *, shares_per_part: int | None = None) -> None:
        self.world = world
        self.policy = policy
        self.shares_per_part = shares_per_part
        self.calendar = SettlementCalendar(
            calendar=StoryCalendar(world),  # type: ignore[arg-type]  # it has what is asked of a calendar
            timezone=policy.timezone,
            cut_off=policy.cut_off,
        )
        self.settled: set[date] = set()
        self.ledger = Ledger()
        self.runs = 0

    def run(self, day: date) -> dict[str, Any]:
        """Settle the date and return its rows as `comparable` gives those of the reference."""
        facts = self.world.seen(self.runs)
        self.runs += 1
        self.settled.add(day)
        return self.absorb(day, self.settle(self.inputs(day, facts), day))

    def settle(self, inputs: frames.Inputs, day: date) -> frames.Outcome:
        """Return the outcome of the day, put together from its parts if it is settled in parts."""
        if self.shares_per_part is None:
            outcome = settle.settle_day(inputs, self.policy, day)
            frames.check_all(outcome)
            return outcome
        parts = list(settle.settle_in_parts(inputs, self.policy, day, shares_per_part=self.shares_per_part))
        whole = {name: pd.concat([getattr(part, name) for part in parts], ignore_index=True) for name in frames.OUTCOME}
        whole["totals"] = whole["totals"].astype({"currency": "str"}).groupby("currency", as_index=False).sum()
        return frames.Outcome(**whole)

    # --- what goes in ---------------------------------------------------------------------------------------

    def taken(self, day: date, facts: Facts) -> list[Repayment]:
        rows = []
        for row in facts.repayments.values():
            if self.ledger.states.get(row.repayment_id, "quarantined") == "quarantined":
                window = self.calendar.settlement_date_of(row.received_at)
                if window == day or (window < day and window in self.settled):
                    rows.append(row)
        return rows

    def inputs(self, day: date, facts: Facts) -> frames.Inputs:
        ledger = self.ledger
        repayments = self.taken(day, facts)
        refunds = [
            refund
            for refund in facts.refunds.values()
            if self.calendar.settlement_date_of(refund.requested_at) <= day
            and ledger.refunds.get(refund.refund_id) != "taken"
        ]
        ids = (
            {row.loan_id for row in repayments}
            | {refund.loan_id for refund in refunds}
            | {credit[0] for credit in ledger.credits.values()}
        )
        loans = [facts.loans[loan_id] for loan_id in ids if loan_id in facts.loans]
        notes = [note for loan in loans for note in facts.notes.get(loan.loan_id, [])]
        holdings = [holding for note in notes for holding in facts.holdings.get(note.note_id, [])]
        investors = {h.investor_id for h in holdings} & facts.investors.keys()
        named = {row.reverses_repayment_id for row in repayments} & facts.repayments.keys()
        originals = [facts.repayments[name] for name in named if name is not None]
        settled = [row.repayment_id for row in originals if ledger.states.get(row.repayment_id) == "settled"]
        build = frames.build
        return frames.Inputs(
            loans=build(frames.LOANS, [(loan.loan_id, loan.currency, loan.disbursed_on) for loan in loans]),
            notes=build(
                frames.NOTES,
                [(n.note_id, n.loan_id, n.principal, n.principal - ledger.paid[n.note_id]) for n in notes],
            ),
            holdings=build(
                frames.HOLDINGS,
                [(h.note_id, h.investor_id, h.held_from, h.held_until_exclusive) for h in holdings],
            ),
            investors=build(frames.INVESTORS, [(i, facts.investors[i].tax_class) for i in investors]),
            receivables=build(
                frames.RECEIVABLES,
                [
                    (
                        r.receivable_id,
                        r.loan_id,
                        r.installment_no,
                        r.component,
                        r.due_on,
                        r.amount,
                        ledger.allocated[r.receivable_id],
                    )
                    for loan in loans
                    for r in facts.receivables.get(loan.loan_id, [])
                ],
            ),
            repayments=build(
                frames.REPAYMENTS,
                [
                    (
                        r.repayment_id,
                        r.loan_id,
                        r.received_at,
                        r.amount,
                        r.reverses_repayment_id,
                        ledger.states.get(r.repayment_id, "new"),
                    )
                    for r in repayments
                ],
            ),
            credits=build(
                frames.CREDITS,
                [
                    (loan_id, repayment_id, facts.repayments[repayment_id].received_at, amount, position)
                    for repayment_id, (loan_id, amount, position) in ledger.credits.items()
                ],
            ),
            refunds=build(
                frames.REFUNDS,
                [
                    (
                        r.refund_id,
                        r.loan_id,
                        r.currency,
                        r.amount,
                        r.requested_at,
                        ledger.refunds.get(r.refund_id, "new"),
                    )
                    for r in refunds
                ],
            ),
            originals=build(
                frames.ORIGINALS,
                [
                    (
                        r.repayment_id,
                        r.loan_id,
                        r.amount,
                        r.reverses_repayment_id is not None,
                        r.repayment_id in ledger.reversed,
                        {"reversal": "settled"}.get(state := ledger.states.get(r.repayment_id, "unsettled"), state),
                    )
                    for r in originals
                ],
            ),
            prior_allocations=build(
                frames.PRIOR_ALLOCATIONS, [row for id in settled for row in ledger.allocations[id]]
            ),
            prior_shares=build(frames.PRIOR_SHARES, [row for id in settled for row in ledger.shares[id]]),
            prior_entries=build(
                frames.PRIOR_ENTRIES,
                [
                    (number, event, of, account, currency, amount)
                    for row in originals
                    for number in ledger.entries_of[row.repayment_id]
                    for _, event, of, currency, postings, _ in [ledger.entries[number]]
                    for account, amount in postings
                ],
            ),
        )

    # --- what comes out -------------------------------------------------------------------------------------

    def absorb(self, day: date, outcome: frames.Outcome) -> dict[str, Any]:
        """Remember what the outcome did and return it, comparable."""
        ledger = self.ledger
        allocations = [row[1:] for row in plain(outcome.allocations)]
        shares = plain(outcome.shares)
        first = ledger.last_allocation
        for i, (repayment_id, loan_id, receivable_id, currency, component, amount) in enumerate(allocations, start=1):
            ledger.allocated[receivable_id] += amount
            row = (first + i, repayment_id, loan_id, receivable_id, currency, component, amount)
            ledger.allocations[repayment_id].append(row)
        ledger.last_allocation += len(allocations)
        wide = []
        for number, note_id, investor_id, *amounts in shares:
            repayment_id, _, receivable_id, currency, component, _ = allocations[number - 1]
            if component == "principal":
                ledger.paid[note_id] += amounts[0]
            ledger.shares[repayment_id].append((first + number, note_id, investor_id, *amounts))
            wide.append((repayment_id, receivable_id, note_id, investor_id, currency, component, *amounts))
        for loan_id, repayment_id, _, amount, _ in plain(outcome.credits):
            ledger.last_credit += 1
            credit = ledger.credits.setdefault(repayment_id, [loan_id, 0, ledger.last_credit])
            credit[1] += amount
            if not credit[1]:
                del ledger.credits[repayment_id]
        for repayment_id, _, _, _, reverses, state, _, _ in plain(outcome.repayments):
            if state != "refused":
                ledger.states[repayment_id] = state
            if state in ("reversal", "cancelled") and reverses is not None:
                ledger.reversed.add(reverses)
        refused = plain(outcome.refused_refunds)
        taken = [row[0] for row in plain(outcome.refunds)]
        released = [*(row[0] for row in plain(outcome.released)), *(id for id in taken if id in ledger.refunds)]
        ledger.refunds |= {row[0]: "refused" for row in refused} | dict.fromkeys(taken, "taken")
        entries = list(self.absorb_entries(day, outcome))
        open_credits = sorted((p, loan, id, amount) for id, (loan, amount, p) in ledger.credits.items())
        return {
            "outcomes": Counter((row[0], row[5], row[6], row[7]) for row in plain(outcome.repayments)),
            "allocations": Counter((row[0], *row[2:]) for row in allocations),
            "allocations in order": by_loan((row[1], (row[0], row[2], row[5])) for row in allocations),
            "shares": Counter(wide),
            "entries": Counter(entries),
            "quarantine": Counter(
                (*(row[:5] for row in plain(outcome.quarantine)), *((row[1], row[0], *row[2:5]) for row in refused))
            ),
            "released": Counter(released),
            "refunds": Counter(taken),
            "credits": by_loan((loan, (id, amount)) for _, loan, id, amount in open_credits),
            "totals": {row[0]: row[1:] for row in plain(outcome.totals) if any(row[1:])},
            "breaks": {(row[0], row[2]): row[4] for row in plain(outcome.breaks)},
        }

    def absorb_entries(self, day: date, outcome: frames.Outcome) -> Iterator[tuple[Any, ...]]:
        postings = defaultdict(list)
        for number, account, amount in plain(outcome.postings):
            postings[number].append((account, amount))
        first = len(self.ledger.entries)
        for number, event, _, currency, repayment_id, earlier, same_run in plain(outcome.entries):
            undone = earlier if earlier is not None else same_run and first + same_run
            of = frozenset(postings[number])
            assert len(of) == len(postings[number]), f"entry [{number}] has two postings on one account"
            undone_entry = self.ledger.entries[undone][:5] if undone else None
            entry = (day, event, repayment_id, currency, of, undone_entry)
            self.ledger.entries[first + number] = entry
            if event != "repayment_reversed":
                self.ledger.entries_of[repayment_id].append(first + number)
            yield entry


def plain(frame: pd.DataFrame) -> Rows:
    """Return the frame's rows as tuples of Python values, with None for null."""
    columns = []
    for name in frame.columns:
        values = frame[name]
        if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype in ("str", "object"):
            columns.append([None if value is None or value != value else value for value in values.tolist()])
        elif values.dtype == "Int64":
            columns.append([None if value is pd.NA else int(value) for value in values.tolist()])
        else:
            columns.append(values.tolist())
    return list(zip(*columns, strict=True))


def by_loan(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    lists: dict[str, list[Any]] = defaultdict(list)
    for loan_id, row in pairs:
        lists[loan_id].append(row)
    return dict(lists)


def comparable(result: Result, loan_of: dict[str, str], entries_of: dict[str, list[Any]]) -> dict[str, Any]:
    """Return what the reference made of a date in the shape that `Player.run` returns.

    `loan_of` is the loan of every repayment, `entries_of` the entries of every loan so far.
    """

    def flat(loan_id: str, entry: Any) -> tuple[Any, ...]:
        postings = frozenset(entry.postings.items())
        undone = entries_of[loan_id][entry.reverses] if entry.reverses is not None else None
        base = (entry.settlement_date, entry.event, entry.repayment_id, entry.currency, postings)
        return (*base, flat(loan_id, undone)[:5] if undone else None)

    return {
        "outcomes": Counter((o.repayment_id, o.outcome, o.is_extracted_now, o.held) for o in result.outcomes),
        "allocations": Counter(
            (a.repayment_id, a.receivable_id, a.currency, a.component, a.amount) for a in result.allocations
        ),
        "allocations in order": by_loan(
            (loan_of[a.repayment_id], (a.repayment_id, a.receivable_id, a.amount)) for a in result.allocations
        ),
        "shares": Counter(
            (
                s.repayment_id,
                s.receivable_id,
                s.note_id,
                s.investor_id,
                s.currency,
                s.component,
                s.gross,
                s.fee,
                s.vat,
                s.national,
                s.local,
                s.net,
            )
            for s in result.shares
        ),
        "entries": Counter(flat(loan_of[e.repayment_id], e) for e in result.entries),
        "quarantine": Counter((q.loan_id, q.repayment_id, q.currency, q.amount, q.rule) for q in result.quarantined),
        "released": Counter(q.repayment_id for q in result.released),
        "refunds": Counter(result.refunds),
        "credits": by_loan((c.loan_id, (c.repayment_id, c.amount)) for c in result.credits),
        "totals": {
            currency: (
                t.count,
                t.received,
                t.distributed,
                t.fee,
                t.vat,
                t.national,
                t.local,
                t.cost,
                t.credit,
                t.quarantined,
                t.refunded,
            )
            for currency, t in result.totals.items()
        },
        "breaks": result.breaks,
    }


def differences(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Return a line for every row that only one side has; none means that they agree to the unit."""
    lines = []
    for name, rules in expected.items():
        engine = got[name]
        if rules == engine:
            continue
        mine = set(rules.items()) if name in ("totals", "breaks") else set(rules)
        theirs = set(engine.items()) if name in ("totals", "breaks") else set(engine)
        if isinstance(rules, dict) and mine == theirs:
            mine, theirs = ({(key, str(value)) for key, value in side.items()} for side in (rules, engine))
        lines += [f"{name}: only by the rules: {row}" for row in sorted(mine - theirs, key=str)]
        lines += [f"{name}: only by the engine: {row}" for row in sorted(theirs - mine, key=str)]
    return lines
