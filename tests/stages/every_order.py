"""Every order in which facts about one payout can come, played through the real postings, and every way out of it.

Method. The worked day is settled and its payouts are with the bank. From there every sequence of facts about the payout
of A is told, each as the message that a bank would send, matched and proven as every quarter of an hour. The sequences
are walked as a tree in one transaction, with a savepoint for each fact, so that a thousand orders cost a thousand facts
and not a thousand days. What a set of facts comes to is kept, and how people end it from there; every other order of
them has to come to the same. Two debits are said in the same words: which of them is the second says their order alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from settlement.domain.bank.messages import Message
from settlement.domain.breaks import WAYS, Way
from settlement.domain.errors import Refused
from settlement.ports.books import Books
from settlement.ports.services import Services
from settlement.stages import breaks, match, prove, take_in

from .conftest import transaction_of
from .payout_stories import returned, status_report
from .spoken_bank import Entry, Spoken, camt053

PAID = 43790
DAYS = ("2026-02-19", "2026-02-20", "2026-02-23", "2026-02-24", "2026-02-25", "2026-02-26", "2026-02-27", "2026-03-03",
        "2026-03-04", "2026-03-05")  # fmt: skip
HEARD_AT, ASKED_AT = "2026-02-28T05:00+09:00", "2026-03-06T05:00+09:00"


@dataclass(frozen=True)
class Outcome:
    """What a set of facts comes to: the payout's state, and every balance that it touches."""

    state: str
    balances: Mapping[str, int] = field(hash=False)


class OneTransaction:
    """The ledger of stages that all work in one transaction, and take none of their own."""

    def __init__(self, books: Books) -> None:
        self._books = books

    @contextmanager
    def books(self, **_: Any) -> Iterator[Books]:
        yield self._books


class EveryOrder:
    """The tree of facts about the payout of A."""

    def __init__(self, spoken: Spoken, services: Services, books: Books) -> None:
        self.connection = transaction_of(books.payouts)
        self.services = replace(services, ledger=OneTransaction(books))
        self.books = books
        self.e2e = spoken.e2e("A")
        self.payout_id = str(spoken.rows("select payout_id from ledger.payouts where payee_id = 'A'")[0][0])
        self.file_id = str(spoken.rows("select file_id from ledger.payout_files")[0][0])
        self.closing = spoken.closing
        self.heard_at, self.asked_at = spoken.at(HEARD_AT), spoken.at(ASKED_AT)
        self.told, self.days = 0, iter(DAYS)
        self.outcomes: dict[frozenset[str], Outcome] = {}
        self.ways: dict[frozenset[str], tuple[str, ...]] = {}

    FACTS: Mapping[str, Callable[[EveryOrder], tuple[str, str]]] = {
        "debit": lambda self: self.line(-PAID),
        "second debit": lambda self: self.line(-PAID),
        "debit with a fee": lambda self: self.line(-PAID - 500),
        "credit": lambda self: self.line(PAID, reason="MS03"),
        "second credit": lambda self: self.line(PAID, is_reversal=True),
        "credit less a fee": lambda self: self.line(PAID - 500, reason="MS03"),
        "return announced": lambda self: (returned(self.e2e, PAID), "pacs.004"),
        "rejected": lambda self: (status_report("P-R", self.file_id, {self.e2e: ("RJCT", "AM04")}), "pain.002"),
        "accepted": lambda self: (status_report("P-A", self.file_id, {self.e2e: ("ACCP", None)}), "pain.002"),
    }
    SAID_AGAIN: Mapping[str, frozenset[str]] = {"second debit": frozenset({"debit"})}
    """What is said in the words of another fact, and comes after it: the other way round it is the same sequence."""

    def line(self, amount: int, **said: Any) -> tuple[str, str]:
        """The statement of the next day, with one line; it opens where the one before it closed."""
        opening, self.closing = self.closing, self.closing + amount
        name = f"S-{amount}-{self.told}"
        entry = Entry(amount, e2e=self.e2e, **said)
        return camt053(next(self.days), opening, self.closing, [entry], name=name), "camt.053"

    def tell(self, content: str, kind: str, *, at: datetime | None = None) -> None:
        now = at or self.heard_at
        self.told += 1
        message = Message.of(content.encode(), kind=kind, name=f"told-{self.told}")
        self.books.bank_lines.keep_message(message, direction="in", now=now)
        take_in.apply_new(self.services, now=now)
        match.match(self.services, now=now)

    def walk(self, alphabet: Sequence[str], *, most: int, before: frozenset[str] = frozenset()) -> None:
        """Tell every sequence of facts that goes on from here, and hold each to what its set came to first."""
        for name in alphabet if len(before) < most else ():
            if name in before or not self.SAID_AGAIN.get(name, before) <= before:
                continue
            closing, facts, self.days = self.closing, before | {name}, iter(DAYS[len(before) :])
            savepoint = self.connection.begin_nested()
            self.tell(*self.FACTS[name](self))
            found = self.outcome()
            if facts not in self.outcomes:
                self.outcomes[facts], self.ways[facts] = found, self.way_out(facts)
            assert self.outcomes[facts] == found, f"another order of {sorted(facts)} comes to {found}"
            self.walk(alphabet, most=most, before=facts)
            savepoint.rollback()
            self.closing = closing

    def outcome(self) -> Outcome:
        state = self.connection.exec_driver_sql(
            f"select state from ledger.payouts where payout_id = '{self.payout_id}'"
        )
        balances = self.connection.exec_driver_sql(
            "select account, amount from ledger.balances where amount <> 0 order by account"
        )
        return Outcome(state=state.scalar_one(), balances=dict(row[:2] for row in balances))

    def way_out(self, facts: frozenset[str]) -> tuple[str, ...]:
        """Tell nothing more after these facts; return what people do until nothing is open, as cause and way.

        Afterwards nothing may stand between us and the bank.
        """
        savepoint = self.connection.begin_nested()
        last = camt053(DAYS[-1], self.closing, self.closing, [], name="S-last")
        self.tell(last, "camt.053", at=self.asked_at)
        others = "'20260216.1.B.KRW.1.1', '20260216.1.C.KRW.1.1'"
        done: list[str] = []
        for _ in range(8):
            prove.prove_books(self.services, as_of=self.asked_at.date(), now=self.asked_at)
            open_ = self.connection.exec_driver_sql(
                "select break_id, cause, subject_kind from ledger.breaks where state = 'open'"
                f" and cause <> 'overpaid' and subject_id not in ({others}) order by break_id"
            ).all()
            if not open_:
                break
            done += [f"{cause}: {self.end(number, cause, kind)}" for number, cause, kind in open_[:1]]
        left = self.outcome().balances
        assert left.get("suspense", 0) == 0 and left["payouts_in_transit"] == -26736 - 17524, f"{sorted(facts)}: {left}"
        savepoint.rollback()
        return tuple(done)

    def end(self, number: int, cause: str, kind: str) -> Way:
        """End a break by the first way that there is, with a second person where the policy asks; return the way."""
        refused = []
        for way in WAYS[cause, kind]:
            target = {Way.MATCH: f"payout:{self.e2e}", Way.BOOK: "bank_charges"}.get(way, str(way))
            try:
                said = breaks._decide_or_ask(
                    self.services, number, way=way, target=target, reason="so it is", by="kim", now=self.asked_at
                )
            except Refused as no:
                refused.append(str(no))
                continue
            if said["state"] == "waits for a second person":
                breaks.approve(self.services, number, by="lee", now=self.asked_at)
            return way
        raise AssertionError(f"nothing ends {cause} of a {kind}: {refused}")


class _Undone(Exception):
    """Nothing of what was told stays."""


def every_order(spoken: Spoken, *, most: int, alphabet: Sequence[str] = tuple(EveryOrder.FACTS)) -> EveryOrder:
    """Tell every order of up to so many facts; return the tree, with what each set comes to and how people end it."""
    with suppress(_Undone), spoken.services() as services, services.ledger.books(posting=True) as books:
        tree = EveryOrder(spoken, services, books)
        tree.walk(alphabet, most=most)
        raise _Undone
    return tree
