"""The bank behind the words: it takes payment files from a folder, and keeps the truth beside what it says.

Days are business days counted from the one that it lives through: `after=1` is the next. A line is booked on its day
and told by that day's statement; a message is told in the morning after its day, once it is due. What a payment or a
statement comes to is drawn from the productions.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from settlement.domain.days import BankCalendar

from settlement_lab.rehearse.grammar import productions, words
from settlement_lab.rehearse.grammar.words import Line, Statement
from settlement_lab.servers.bank import CALENDAR, DEBTOR_ACCOUNT

_PAYMENT = re.compile(
    r"<EndToEndId>([^<]+)</EndToEndId>.*?<InstdAmt Ccy=\"KRW\">(\d+)</InstdAmt>.*?</CdtTrfTxInf>", re.DOTALL
)


@dataclass(kw_only=True)
class Payment:
    """One payment that the bank was given, and the truth about it.

    `is_refused` and `is_announced`: the bank has said so, or will; whether people heard it stands in `said_unpaid`.
    """

    end_to_end_id: str
    amount: int
    file_id: str
    debits: int = 0
    """So many times it left, as booked so far."""
    credits: int = 0
    """So many times it came back."""
    is_refused: bool = False
    """A report that refuses it was delivered."""
    is_announced: bool = False
    """A return of it was delivered."""
    is_said_absent: bool = False
    """People said that the bank does not pay it."""
    to_come: int = 0
    """So many lines and messages about it are still to come."""

    @property
    def is_paid(self) -> bool:
        """Whether its money is with the payee, or kept by a bank that promised to give it back."""
        return self.debits > self.credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message that waits for the morning after a day; `about` are the payments that it refuses or announces."""

    due: date
    name: str
    content: bytes
    about: Sequence[Payment] = ()
    is_refusal: bool = False


@dataclass
class Bank:
    """The bank of one rehearsal; `drop` and `pickup` are the folders of its channel."""

    random: Random
    drop: Path
    pickup: Path
    today: date
    balance: int
    account: str = DEBTOR_ACCOUNT
    calendar: BankCalendar = CALENDAR
    checks_duplicates: bool = False
    """Whether it is known to refuse a payment file that it has; else nobody may send one again."""
    is_honest: bool = False
    """From then on it only does what was ordered, and tells it plainly."""
    payments: dict[str, Payment] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """By file id: what became of it, "taken", "refused" or "swallowed"."""
    lines: dict[str, Line] = field(default_factory=dict)
    """Every line that was booked, by its number."""
    drawn: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(productions.names(), 0)))
    """How often each production was drawn."""
    known_as: dict[str, str] = field(default_factory=dict)
    """By the reference of a receipt: what its payer writes instead, the virtual account of his loan."""
    together: list[tuple[str, int]] = field(default_factory=list)
    """Receipts, each a reference and an amount, that are booked in one sum on the next day."""
    names: list[str] = field(default_factory=list)
    """The names of its statements so far."""
    _due: dict[date, list[tuple[Line, Sequence[Payment]]]] = field(default_factory=lambda: defaultdict(list))
    _mail: list[Letter] = field(default_factory=list)
    _numbers: Counter[str] = field(default_factory=Counter)

    # ------------------------------------------------------------------------------- what the lender's world needs

    def open_account(self, name: str, iban: str, *, owner: str) -> None:
        """Open an investor's account: this bank pays into whatever account it is told."""

    def change_account(self, name: str, *, behaviour: str) -> None:
        """Change how an account behaves: here a production says what becomes of a payment, not its account."""

    def receive(self, *, reference: str, amount: int, on: date, payer: str) -> None:
        """Let money arrive for the platform, on the next day that the bank lives through."""
        productions.draw(self, productions.RECEIPTS)(self, reference, amount, payer)

    def shown(self, reference: str) -> str:
        """Return what a payer writes who pays a receipt."""
        return self.known_as.get(reference, reference)

    # ------------------------------------------------------------------------------------------------------ its days

    def collect(self) -> None:
        """Take the payment files that lie in the folder; what becomes of each payment is drawn now."""
        for path in sorted(self.drop.glob("*.xml")):
            content = path.read_text(encoding="utf-8")
            path.unlink()
            file_id = path.stem
            found = _PAYMENT.findall(content)
            if len(found) != content.count("<CdtTrfTxInf>"):
                raise ValueError(f"Of file [{file_id}] only {len(found)} payments can be read")
            if file_id in self.files and not self.checks_duplicates:
                raise ValueError(f"File [{file_id}] went out again to a bank that is not known to check for duplicates")
            if file_id in self.files:
                productions.draw(self, productions.ASKED_AGAIN)(self, file_id)
                continue
            payments = [Payment(end_to_end_id=e2e, amount=int(amount), file_id=file_id) for e2e, amount in found]
            self.payments |= {payment.end_to_end_id: payment for payment in payments}
            self.files[file_id] = "taken"
            productions.draw(self, productions.FILES)(self, file_id, payments)
            if self.files[file_id] == "taken":
                for payment in productions.draw(self, productions.SUMS)(self, file_id, payments):
                    productions.draw(self, productions.PAYMENTS)(self, payment)

    def live_through(self, on: date) -> None:
        """Book what is due until a day, and tell it by the day's statement."""
        self.today = on
        productions.draw(self, productions.OWN_LINES)(self)
        if self.together:
            productions.draw(self, productions.TOGETHER)(self)
            self.together.clear()
        booked: list[Line] = []
        for day in sorted(day for day in self._due if day <= on):
            for line, payments in self._due.pop(day):
                booked.append(line)
                for payment in payments:
                    payment.debits += line.amount < 0
                    payment.credits += line.amount > 0
                    payment.to_come -= 1
        self.lines |= {line.number: line for line in booked}
        opening, self.balance = self.balance, self.balance + sum(line.amount for line in booked)
        productions.draw(self, productions.STATEMENTS)(self, opening, booked)

    def deliver(self) -> None:
        """Leave every letter that is due where the product picks it up."""
        for letter in [letter for letter in self._mail if letter.due <= self.today]:
            self._mail.remove(letter)
            (self.pickup / letter.name).write_bytes(letter.content)
            for payment in letter.about:
                payment.is_refused |= letter.is_refusal
                payment.is_announced |= not letter.is_refusal
                payment.to_come -= 1

    @property
    def has_more_to_say(self) -> bool:
        """Whether lines or letters are still to come."""
        return bool(self._mail or any(self._due.values()))

    def is_still_to_come(self, reference: str) -> bool:
        """Tell whether a receipt is still to be booked."""
        return any(f"receipt:{reference}" in line.truths for due in self._due.values() for line, _ in due)

    # ------------------------------------------------------------------------------------- what productions are made of

    def day(self, after: int) -> date:
        """Return the so manieth business day after the one that it lives through."""
        found = self.today
        for _ in range(after):
            found = self.calendar.next_business_day(found)
        return found

    def number(self, kind: str) -> str:
        """Return the next number of a kind."""
        self._numbers[kind] += 1
        return f"{kind}{self._numbers[kind]:06d}"

    def book(self, truth: str, amount: int, *, after: int, payments: Sequence[Payment] = (), **said: Any) -> str:
        """Book a line on a later day, and return its number."""
        line = Line(number=self.number("B"), truth=truth, amount=amount, **said)
        self._due[self.day(after)].append((line, payments))
        for payment in payments:
            payment.to_come += 1
        return line.number

    def debit(self, payment: Payment, *, after: int, fee: int = 0, **said: Any) -> str:
        """Book a payment as leaving, under its id unless something else is said, and return its line's number."""
        e2e = payment.end_to_end_id
        told = said or {"end_to_end_id": e2e}
        return self.book(f"payout:{e2e}", -payment.amount - fee, after=after, payments=[payment], **told)

    def credit(self, payment: Payment, *, after: int, fee: int = 0, reason: str = "", **said: Any) -> None:
        """Book a payment as coming back."""
        e2e = payment.end_to_end_id
        amount = payment.amount - fee
        self.book(
            f"payout_return:{e2e}", amount, after=after, payments=[payment], end_to_end_id=e2e, reason=reason, **said
        )

    def announce(self, payment: Payment, *, after: int, reason: str = "MS03", fee: int = 0) -> None:
        """Say by pacs.004 that a payment comes back."""
        name, due = self.number("R"), self.day(after)
        content = words.pacs004(name, due, payment.end_to_end_id, payment.amount - fee, reason)
        self.send(f"pacs.004-{name}.xml", content, after=after, about=[payment])

    def report(
        self,
        file_id: str,
        *,
        after: int = 0,
        group: str = "",
        reason: str = "",
        payments: Mapping[str, tuple[str, str]] | None = None,
        refuses: Sequence[Payment] = (),
    ) -> None:
        """Say by pain.002 what becomes of a file, or of payments of it by end-to-end id."""
        name = self.number("P")
        content = words.pain002(name, self.day(after), file_id, group=group, reason=reason, payments=payments or {})
        self.send(f"pain.002-{name}.xml", content, after=after, about=refuses, is_refusal=True)

    def send(
        self, name: str, content: bytes, *, after: int, about: Sequence[Payment] = (), is_refusal: bool = False
    ) -> None:
        """Let a message be told in the morning after a day."""
        for payment in about:
            payment.to_come += 1
        self._mail.append(Letter(due=self.day(after), name=name, content=content, about=about, is_refusal=is_refusal))

    def statement(self, opening: int, lines: Sequence[Line], *, account: str = "", name: str = "") -> Statement:
        """Return a statement of the day, under the next number or under a name."""
        number = self.number("S")
        name = name or number
        self.names.append(name)
        return Statement(
            name=name,
            sequence=int(number[1:]),
            account=account or self.account,
            on=self.today,
            opening=opening,
            lines=tuple(lines),
        )

    def kind(self, said: Statement, *kinds: str) -> str:
        """Draw a format for a statement, of those named or of all; an export of nothing proves nothing."""
        return self.random.choice([kind for kind in kinds or words.FORMATS if said.lines or kind != "CSV"])

    def tell(
        self,
        said: Statement,
        *,
        after: int = 0,
        into: str = "",
        write: Callable[[Statement], bytes] | None = None,
        dress: Callable[[bytes], bytes] = bytes,
    ) -> tuple[str, bytes]:
        """Send a statement in a format, or in one that is drawn; return the format and the bytes.

        `write` writes it otherwise than plainly, `dress` is what is done to the bytes.
        """
        kind = into or self.kind(said)
        ending, plainly = words.FORMATS[kind]
        content = dress((write or plainly)(said))
        self.drawn[f"as {kind}"] += 1
        self.send(f"{kind}-{self.number('F')}.{ending}", content, after=after)
        return kind, content
