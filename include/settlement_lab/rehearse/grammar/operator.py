"""The people: they end breaks, late, by the ways that each has, knowing what the bank really did.

A person waits as long as the bank has more to say of something, but now and then does not: then he says that a payout
is not paid which will be, or writes off a receipt that comes. The books must survive that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import psycopg
from settlement.domain.breaks import WAYS, Way
from settlement.domain.errors import Refused
from settlement.ports.breaks import Break
from settlement.ports.services import Services
from settlement.stages import breaks, gate, inquire

from settlement_lab.rehearse.grammar.bank import Bank
from settlement_lab.rehearse.lender import reference_of, repayment_of

FIRST, SECOND = "kim", "lee"
REASON = "asked the bank"


@dataclass
class Operator:
    """The people of one rehearsal; `books` reads the settlement database as its owner."""

    random: Random
    bank: Bank
    books: psycopg.Connection[Any]
    count: Counter[str] = field(default_factory=Counter)
    _patience: dict[int, int] = field(default_factory=dict)

    def work(self, services: Services, *, now: datetime, is_last: bool = False) -> int:
        """Look at every open break once, and do what is due; return how many were ended.

        `is_last`: the bank has nothing more to say, so nothing is waited for.
        """
        with services.ledger.books(read_only=True) as books:
            found = books.breaks.open()
        ended = 0
        for one in found:
            patience = self._patience.setdefault(one.break_id, self.random.randint(0, 2))
            self._patience[one.break_id] = max(0, patience - 1)
            if patience and not is_last:
                self._talk_about(services, one, now=now)
            else:
                ended += self._end(services, one, now=now)
        self._ask_after_files(services, now=now)
        return ended

    def answer_for_objections(self, services: Services, on: date, *, now: datetime) -> bool:
        """Answer for what was said against paying for a date; False where nobody can, or nobody wants to."""
        if self.random.random() < 0.3:
            return False
        try:
            gate.override(services, on, by=FIRST, reason="rehearsed", now=now)
        except Refused:
            return False
        self.count["objections answered for"] += 1
        return True

    # ---------------------------------------------------------------------------------------------------- one break

    def _talk_about(self, services: Services, found: Break, *, now: datetime) -> None:
        if self.random.random() < 0.2:
            breaks.assign(services, found.break_id, owner=SECOND, due_on=None, by=FIRST, now=now)
        elif self.random.random() < 0.2:
            breaks.comment(services, found.break_id, text="the bank is asked", by=FIRST, now=now)

    def _end(self, services: Services, found: Break, *, now: datetime) -> bool:
        """Try the ways that the truth allows, one after the other, until the product takes one."""
        for way, target in self._ways(found):
            try:
                said = self._do(services, found, way, target, now=now)
                if said["state"] == "waits for a second person":
                    breaks.approve(services, found.break_id, by=SECOND, now=now)
            except Refused:
                self.count[f"refused {way}: {found.cause}"] += 1
                continue
            self.count[f"{way}: {found.cause}"] += 1
            if way is Way.ABSENT:
                self.bank.payments[target].is_said_absent = True
            return True
        return False

    def _do(self, services: Services, found: Break, way: Way, target: str, *, now: datetime) -> Any:
        said: dict[str, Any] = {"reason": REASON, "by": FIRST, "now": now}
        if way is Way.MATCH:
            return breaks.match_by_hand(services, found.break_id, subject=target, **said)
        if way is Way.BOOK:
            return breaks.book(services, found.break_id, account=target, **said)
        do = {Way.WRITE_OFF: breaks.write_off, Way.ABSENT: breaks.declare_absent, Way.ANSWER: breaks.answer}[way]
        return do(services, found.break_id, **said)

    def _ways(self, found: Break) -> Sequence[tuple[Way, str]]:
        """Return what the truth allows, best first; nothing where a person has to wait."""
        if found.subject_kind == "line":
            return self._ways_of_a_line(found)
        if found.subject_kind == "payout":
            return self._ways_of_a_payout(found)
        if (found.cause, found.subject_kind) == ("missing_at_bank", "repayment"):
            comes = self.bank.is_still_to_come(reference_of(found.subject_id))
            return () if comes and not self._is_mistaken("written off what comes") else ((Way.WRITE_OFF, ""),)
        if found.cause == "statement_chain" and self.bank.has_more_to_say and self.random.random() < 0.8:
            return ()
        ways = WAYS[found.cause, found.subject_kind]
        return [(way, "") for way in (Way.ANSWER, Way.WRITE_OFF) if way in ways]

    def _ways_of_a_line(self, found: Break) -> Sequence[tuple[Way, str]]:
        ((number,),) = self.books.execute(
            "select bank_reference from ledger.statement_lines where line_id = %s", (found.subject_id,)
        ).fetchall()
        truths = self.bank.lines[number].truths
        if len(truths) > 1:
            return ((Way.WRITE_OFF, ""),)
        kind, _, what = truths[0].partition(":")
        if kind == "account":
            return (Way.BOOK, what), (Way.WRITE_OFF, "")
        if kind == "receipt":
            return (Way.MATCH, f"receipt:{repayment_of(what)}"), (Way.WRITE_OFF, "")
        if self.bank.payments[what].to_come:
            return ()
        return (Way.MATCH, f"payout:{what}"), (Way.WRITE_OFF, "")

    def _ways_of_a_payout(self, found: Break) -> Sequence[tuple[Way, str]]:
        ((e2e,),) = self.books.execute(
            "select end_to_end_id from ledger.payouts where payout_id = %s", (found.subject_id,)
        ).fetchall()
        payment = self.bank.payments[e2e]
        if found.cause != "missing_at_bank":
            return ((Way.ANSWER, ""),)
        if payment.to_come and not self._is_mistaken("said absent what is paid"):
            return ()
        return (Way.ABSENT, e2e), (Way.WRITE_OFF, "")

    def _is_mistaken(self, how: str) -> bool:
        is_so = not self.bank.is_honest and self.random.random() < 0.1
        self.count[how] += is_so
        return is_so

    # ------------------------------------------------------------------------------------------------------- files

    def _ask_after_files(self, services: Services, *, now: datetime) -> None:
        """Say of files that no inquiry can clear, after two days, that the bank has nothing more of them."""
        for file in inquire.unknown_files(services):
            payments = [found for found in self.bank.payments.values() if found.file_id == file.file_id]
            is_late = file.sent_at is not None and now - file.sent_at > timedelta(days=2)
            if not is_late or any(found.to_come or found.is_paid for found in payments):
                continue
            try:
                inquire.declare_absent(services, file.file_id, by=FIRST, reason=REASON, now=now)
            except Refused:
                continue
            for found in payments:
                found.is_said_absent = True
            self.count["files declared absent"] += 1
