"""The auditor: after every step it holds the books against what the bank really did and has told.

It shares no code with the engine, and asks nothing but SQL of the books and the bank's own record.

**Safety**, after every step:

1. every line in the books is the bank's, with its amount, and there once
2. a line that a rule matched is what the truth says: this payout leaving or coming back, this receipt, this account
3. a payout is booked only if a line shows it leaving, returned only if a line or an announcement shows that, rejected
   only if the bank or people said so, or it was never handed over
4. what left more often than the books say has a break that names it
5. a next attempt is made only of what was told not to be paid
6. what is handed over, and not seen leaving, never exceeds what the statements show on the account
7. what an investor earned is in payouts or in the balance, but for what people made good
8. every entry sums to zero, every balance is the sum of its postings, the account is the statement, every step is legal
9. certificates follow one another: what investors had at the end of a day is what they had at the next one's beginning

**Liveness**, at the end, when the bank has told the whole truth and people have answered:

10. no break is open but what the source must mend; nothing is in transit or in suspense, but receipts of days that were
    passed over; every day is closed, or passed over and told of by a break; every payout has ended; every line of the
    bank is in the books; what is owed is held with a reason
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg
from settlement.domain.breaks import WAYS, Way

from settlement_lab.rehearse import audit
from settlement_lab.rehearse.audit import GIVEN_BACK, Row
from settlement_lab.rehearse.grammar.bank import Bank
from settlement_lab.rehearse.lender import reference_of

RECEIPTS = "receipts_in_transit"
BETWEEN = ("payouts_in_transit", RECEIPTS, "suspense")
BY_PEOPLE = ("by_hand", "written_off")


@dataclass
class Auditor:
    """Reads the books through a connection of their owner, and knows the bank from inside; changes nothing."""

    books: psycopg.Connection[Any]
    bank: Bank
    _attempts: set[str] = field(default_factory=set)
    _handed_over: set[str] = field(default_factory=set)

    def violations(self, *, is_proven: bool = False, is_last: bool = False) -> list[str]:
        """Return what is wrong, in sentences.

        `is_proven`: the step brought the breaks up to date. `is_last`: nothing more is to come from anybody.
        """
        self.books.execute("begin isolation level repeatable read, read only")
        try:
            payouts = audit.rows(
                self.books,
                "select payout_id, end_to_end_id, payee_id, currency, amount, state, settlement_date, revision,"
                " chunk, attempt, submitted_at from ledger.payouts order by prepared_at, payout_id",
            )
            lines = audit.rows(
                self.books,
                "select line_id, statement_id, bank_reference, amount, state from ledger.statement_lines",
            )
            told = self._told(lines)
            return [
                *self._lines_are_the_banks(lines),
                *self._lines_are_what_they_are(payouts),
                *self._states_were_told(payouts, told),
                *(self._what_was_paid_twice_has_a_name(payouts, lines, told) if is_proven else ()),
                *self._paid_again_only_what_was_not_paid(payouts, told),
                *self._money_is_there(payouts, told),
                *self._earned_is_accounted_for(payouts),
                *(self._certificates_follow() if is_proven else ()),
                *audit.entries_balance(self.books),
                *audit.steps_are_legal(self.books, payouts),
                *audit.bank_account_is_the_statement(self.books, is_heard_out=is_last),
                *(self._everything_came_to_rest(payouts, lines) if is_last else ()),
                *(audit.balances_are_held(self.books) if is_last else ()),
            ]
        finally:
            self.books.execute("rollback")

    # --------------------------------------------------------------------------------------------------------- safety

    def _told(self, lines: list[Row]) -> Counter[str]:
        """Return how often lines in the books show each thing, by its truth."""
        known = self.bank.lines
        return Counter(
            truth for row in lines if row["bank_reference"] in known for truth in known[row["bank_reference"]].truths
        )

    def _lines_are_the_banks(self, lines: list[Row]) -> Iterator[str]:
        for number, times in Counter(row["bank_reference"] for row in lines).items():
            if times > 1:
                yield f"line [{number}] of the bank is in the books {times} times"
        for row in lines:
            line = self.bank.lines.get(row["bank_reference"])
            if line is None or line.amount != row["amount"]:
                yield f"the books have a line [{row['bank_reference']}] of [{row['amount']}], the bank has {line}"

    def _lines_are_what_they_are(self, payouts: list[Row]) -> Iterator[str]:
        ids = {payout["payout_id"]: payout["end_to_end_id"] for payout in payouts}
        for row in audit.rows(
            self.books,
            "select l.bank_reference, m.subject_kind, m.subject_id, m.rule from ledger.matches m"
            " join ledger.statement_lines l using (line_id)",
        ):
            truths = self.bank.lines[row["bank_reference"]].truths
            kind, subject = row["subject_kind"], row["subject_id"]
            said = f"{kind}:{ids.get(subject) or reference_of(subject) or subject}"
            if said not in truths and row["rule"] not in BY_PEOPLE:
                yield f"line [{row['bank_reference']}] was matched with [{said}] by [{row['rule']}], it is {truths}"

    def _states_were_told(self, payouts: list[Row], told: Counter[str]) -> Iterator[str]:
        for payout in payouts:
            e2e, state = payout["end_to_end_id"], payout["state"]
            payment = self.bank.payments.get(e2e)
            debits, credits = told[f"payout:{e2e}"], told[f"payout_return:{e2e}"]
            was_said_unpaid = payout["submitted_at"] is None or (
                payment is not None and (payment.is_refused or payment.is_said_absent)
            )
            is_so = {
                "booked": debits > 0,
                "returned": (payment is not None and payment.is_announced) or 0 < debits <= credits,
                "rejected": was_said_unpaid,
            }
            if not is_so.get(state, True):
                yield f"payout [{e2e}] is [{state}]: told were {debits} debits, {credits} credits and {payment}"

    def _what_was_paid_twice_has_a_name(
        self, payouts: list[Row], lines: list[Row], told: Counter[str]
    ) -> Iterator[str]:
        named = {row["subject_id"] for row in audit.rows(self.books, "select distinct subject_id from ledger.breaks")}
        lines_of = defaultdict(set)
        for row in lines:
            for truth in self.bank.lines[row["bank_reference"]].truths:
                lines_of[truth].add(row["line_id"])
        for payout in payouts:
            e2e, state = payout["end_to_end_id"], payout["state"]
            net = told[f"payout:{e2e}"] - told[f"payout_return:{e2e}"]
            is_promised = state == "returned" and self.bank.payments[e2e].is_announced
            if net > (state == "booked" or is_promised) and not named & {
                payout["payout_id"],
                *lines_of[f"payout:{e2e}"],
            }:
                yield f"payout [{e2e}] is [{state}] and left {net} times more than it came back: no break names it"

    def _paid_again_only_what_was_not_paid(self, payouts: list[Row], told: Counter[str]) -> Iterator[str]:
        for payout in payouts:
            if payout["payout_id"] in self._attempts:
                continue
            self._attempts.add(payout["payout_id"])
            for former in payouts:
                if former["attempt"] >= payout["attempt"] or _place(former) != _place(payout):
                    continue
                e2e = former["end_to_end_id"]
                payment = self.bank.payments.get(e2e)
                if payment is None or payment.is_announced:
                    continue
                net = told[f"payout:{e2e}"] - told[f"payout_return:{e2e}"]
                was_said_unpaid = payment.is_refused or payment.is_said_absent or told[f"payout_return:{e2e}"]
                if net > 0 or not was_said_unpaid:
                    yield f"payout [{payout['end_to_end_id']}] pays again what [{e2e}] may have paid: {payment}"

    def _money_is_there(self, payouts: list[Row], told: Counter[str]) -> Iterator[str]:
        """Compare what is under way with the newest statement, whenever something is handed over."""
        now = {payout["payout_id"] for payout in payouts if payout["submitted_at"] is not None}
        is_new, self._handed_over = now - self._handed_over, now
        statements = audit.rows(
            self.books,
            "select closing from ledger.statements"
            " order by business_date desc, sequence desc, page desc nulls last, position desc limit 1",
        )
        if not is_new or not statements:
            return
        leaving = 0
        for payout in payouts:
            payment = self.bank.payments.get(payout["end_to_end_id"])
            is_ended = payout["state"] in GIVEN_BACK or told[f"payout:{payout['end_to_end_id']}"]
            if payout["payout_id"] in now and not is_ended and not (payment and payment.is_announced):
                leaving += payout["amount"]
        if leaving > statements[0]["closing"]:
            yield f"payouts of [{leaving}] are under way, the account holds [{statements[0]['closing']}]"

    def _earned_is_accounted_for(self, payouts: list[Row]) -> Iterator[str]:
        sums: dict[str, Counter[str]] = {
            name: Counter({row["investor_id"]: int(row["amount"]) for row in audit.rows(self.books, query)})
            for name, query in (
                (
                    "earned",
                    "select s.investor_id, sum(s.net_amount) as amount from ledger.standing_shares s group by 1",
                ),
                (
                    "owed",
                    "select split_part(account, ':', 2) as investor_id, -amount as amount from ledger.balances"
                    " where account like 'investor@_payable:%' escape '@'",
                ),
                (
                    "made good",
                    "select split_part(p.account, ':', 2) as investor_id, -sum(p.amount) as amount"
                    " from ledger.postings p join ledger.entries e using (entry_id)"
                    " left join ledger.entries r on r.entry_id = e.reverses_entry_id"
                    " where p.account like 'investor@_payable:%' escape '@'"
                    " and coalesce(r.event, e.event) in ('written_off', 'suspense_resolved') group by 1",
                ),
            )
        }
        living: Counter[str] = Counter()
        for payout in payouts:
            if payout["state"] not in GIVEN_BACK:
                living[payout["payee_id"]] += payout["amount"]
        for who in sorted({*living, *sums["earned"], *sums["owed"]}):
            if sums["earned"][who] + sums["made good"][who] != living[who] + sums["owed"][who]:
                said = {name: amounts[who] for name, amounts in sums.items()}
                yield f"[{who}] has payouts of [{living[who]}], which does not agree with {said}"

    def _certificates_follow(self) -> Iterator[str]:
        """Compare what the newest certificates of two days, of which one follows the other, say of the investors.

        What runs posted between the two on the first day or before it, as they settled a date late or again, stands in
        the later certificate alone. Lines of the bank count for the bank's own day, whenever they are told: of the bank
        a late statement says more.
        """
        certified = {
            row["settlement_date"]: row
            for row in audit.rows(
                self.books,
                "select settlement_date, body::json->'movements'->'investors KRW' as investors,"
                " (body::json->'sealed_until'->>'entries')::bigint as entries from ledger.certificates order by number",
            )
        }
        settled = {
            row["settlement_date"] for row in audit.rows(self.books, "select * from ledger.days where revision > 0")
        }
        computed = audit.rows(
            self.books,
            "select e.entry_id, e.settlement_date, -sum(p.amount)::bigint as amount from ledger.entries e"
            " join ledger.postings p using (entry_id)"
            " where e.event in ('repayment_distributed', 'credit_applied', 'repayment_reversed')"
            " and p.account like 'investor@_payable:%' escape '@' group by 1, 2",
        )
        for on, after in pairwise(sorted(certified)):
            # A day between that has none so far is a business day, or was one when it was settled.
            is_between = any(on < day < after for day in settled)
            is_next = not is_between and self.bank.calendar.next_business_day(on) >= after
            first, second = certified[on], certified[after]
            had, has = first["investors"], second["investors"]
            if not (is_next and had and has):
                continue
            sooner, later = sorted((first["entries"], second["entries"]))
            between = sum(
                row["amount"] for row in computed if row["settlement_date"] <= on and sooner < row["entry_id"] <= later
            )
            if first["entries"] > second["entries"]:
                between = -between
            if had["closing"] + between != has["opening"]:
                yield (
                    f"investors have [{had['closing']}] by the certificate of [{on}] and [{between}] by what runs"
                    f" posted beside it, [{after}] begins as {has}"
                )

    def everything(self) -> dict[str, str]:
        """Return a digest of each table of the books."""
        tables = audit.rows(
            self.books,
            "select c.oid::regclass::text as name from pg_class c where relnamespace = 'ledger'::regnamespace"
            " and relkind = 'r' order by 1",
        )
        query = "select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as said from {} t"
        return {row["name"]: audit.rows(self.books, query.format(row["name"]))[0]["said"] for row in tables}

    # ------------------------------------------------------------------------------------------------------- liveness

    def _everything_came_to_rest(self, payouts: list[Row], lines: list[Row]) -> Iterator[str]:
        for row in audit.rows(
            self.books, "select * from ledger.breaks where state in ('open', 'assigned') order by break_id"
        ):
            if Way.MEND not in WAYS[row["cause"], row["subject_kind"]]:
                yield f"break [{row['break_id']}] stays open: {row}"
        waiting = self._shown_and_never_settled()
        for row in audit.rows(self.books, "select account, amount from ledger.balances where amount <> 0"):
            if row["account"] in BETWEEN and not (row["account"] == RECEIPTS and row["amount"] == -waiting):
                yield f"[{row['amount']}] stays in [{row['account']}]"
        for row in audit.rows(
            self.books,
            "select settlement_date, state from ledger.days where state <> 'closed' and not (revision = 0 and exists ("
            "select from ledger.breaks where cause = 'date_not_settled' and subject_id = settlement_date::text))",
        ):
            yield f"day [{row['settlement_date']}] stays [{row['state']}]"
        for payout in payouts:
            if payout["state"] not in ("booked", *GIVEN_BACK):
                yield f"payout [{payout['end_to_end_id']}] stays [{payout['state']}]"
        known = {row["bank_reference"] for row in lines}
        for number in sorted(set(self.bank.lines) - known):
            yield f"line {self.bank.lines[number]} never came into the books"

    def _shown_and_never_settled(self) -> int:
        """Return what lines show of receipts that no run took: as many as the dates say that were passed over, or 0."""
        ((count, amount),) = self.books.execute(
            "select count(distinct repayment_id), coalesce(sum(-amount), 0) from ledger.postings"
            " join ledger.entries e using (entry_id) where account = %s and not exists (select from ledger.entries o"
            " where o.repayment_id = e.repayment_id and o.event in ('repayment_extracted', 'repayment_reversed'))",
            (RECEIPTS,),
        ).fetchall()
        ((told,),) = self.books.execute(
            "select coalesce(sum((evidence->>'receipts')::int), 0) from ledger.breaks b"
            " where cause = 'date_not_settled' and not exists ("
            "select from ledger.days where revision > 0 and settlement_date::text = b.subject_id)"
        ).fetchall()
        return int(amount) if count <= told else 0


def _place(payout: Row) -> tuple[Any, ...]:
    return tuple(payout[name] for name in ("settlement_date", "revision", "payee_id", "currency", "chunk"))
