"""A small lender that lives from day to day as its seed says: loans, investors who come and go, money that comes in.

Each day it writes its own rows, as the lender's system would, and tells its bank what payers do. Amounts are small and
odd, so that nothing divides evenly; money comes late, too much or too little, twice or for a loan that owes nothing; a
receipt is undone; an account is closed, or changed at the source after the bank refused it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import psycopg

SEOUL = ZoneInfo("Asia/Seoul")
INVESTORS, LOANS = 10, 7
HELD_AT_OUR_BANK = 4
"""So many investors bank where we do: their accounts can be closed, so that a payout is rejected by name."""

BAD_DAYS_FOR_AN_ACCOUNT = ("closed-account", "bad-bank-id")


class PayersBank(Protocol):
    """What a lender's world needs of a bank: accounts of investors, and money that payers send."""

    def open_account(self, name: str, iban: str, *, owner: str) -> None:
        """Open an investor's account."""

    def change_account(self, name: str, *, behaviour: str) -> None:
        """Change how it treats an account."""

    def receive(self, *, reference: str, amount: int, on: date, payer: str) -> None:
        """Let money arrive for the platform."""


@dataclass
class Lender:
    """One lender; `core` is the owner's connection to its database."""

    random: Random
    core: psycopg.Connection[Any]
    bank: PayersBank
    receipts: int = 0

    def begin(self, on: date) -> None:
        """Write the investors, loans and notes that there are from the first day on, and open accounts at the bank."""
        rng = self.random
        for number in range(INVESTORS):
            account, clearing = f"110-20-{300_000 + number}", "088"
            if number < HELD_AT_OUR_BANK:
                account, clearing = iban(f"MOCK{number + 1:010d}"), ""
                self.bank.open_account(f"INVESTOR-{number}", account, owner=f"투자자{number}")
            tax_class = rng.choice(["individual", "individual", "corporation", "lender"])
            self._write(
                "insert into core.investors values (%s, %s, %s, 'active', %s, nullif(%s, ''))",
                (_investor(number), f"투자자{number}", tax_class, account, clearing),
            )
        for loan in range(LOANS):
            self._write("insert into core.loans values (%s, 'KRW', %s)", (f"L{loan}", on - timedelta(days=60)))
            for number in range(rng.randint(1, 4)):
                note = f"L{loan}-N{number}"
                self._write(
                    "insert into core.notes values (%s, %s, %s)", (note, f"L{loan}", rng.randint(3, 9) * 1_000_003)
                )
                self._write(
                    "insert into core.note_holdings values (%s, %s, %s, null)",
                    (note, _investor(rng.randrange(INVESTORS)), on - timedelta(days=60)),
                )
        self.core.commit()

    def live_through(self, on: date, since: date) -> None:
        """Let a settlement date happen whose window begins after [since]: in the lender's system and at its bank."""
        rng = self.random
        for loan in rng.sample(range(LOANS), rng.randint(0, 4)):
            self._repay(f"L{loan}", on, since)
        if rng.random() < 0.1:
            self._undo_a_receipt(on)
        if rng.random() < 0.15:
            self._change_an_investor()
        if rng.random() < 0.2:
            self._sell_a_note(on)
        self.core.commit()

    def _repay(self, loan: str, on: date, since: date) -> None:
        rng = self.random
        self.receipts += 1
        reference = f"RCPT-{self.receipts:06d}"
        due = {"interest": rng.randint(1, 30_000), "principal": rng.randint(0, 150_000)}
        if rng.random() < 0.1:
            due["late_interest"] = rng.randint(1, 500)
        if rng.random() < 0.1:
            due["cost"] = rng.randint(1, 3_000)
        for component, amount in due.items():
            self._write(
                "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
                " values (%s, %s, %s, %s, %s, %s)",
                (f"{reference}-{component}", loan, self.receipts, component, on, amount),
            )
        paid = max(1, sum(due.values()) + rng.choice([0, 0, 0, 0, 777, -1, -5_000]))
        received_on = rng.choice([since + timedelta(days=n + 1) for n in range((on - since).days)])
        received_at = datetime.combine(received_on, time(rng.randrange(24), rng.randrange(60)), SEOUL)
        self._write(
            "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
            " values (%s, %s, %s, %s, %s)",
            (repayment_of(reference), loan, received_at, paid, self.reference_at_bank(loan, reference)),
        )
        if rng.random() < 0.97:  # sometimes the lender believes in money that never came
            self.bank.receive(reference=reference, amount=paid, on=received_on, payer="차입자")

    def reference_at_bank(self, loan: str, reference: str) -> str:
        """Return the reference that a payer of the loan gives to the bank: that of the receipt itself."""
        return reference

    def _undo_a_receipt(self, on: date) -> None:
        found = self.core.execute(
            "select r.repayment_id, r.loan_id, r.amount from core.repayments r where r.reverses_repayment_id is null"
            " and not exists (select from core.repayments u where u.reverses_repayment_id = r.repayment_id)"
            " order by r.repayment_id"
        ).fetchall()
        if not found:
            return
        repayment, loan, amount = self.random.choice(found)
        at = datetime.combine(on, time(12), SEOUL)
        self._write(
            "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id)"
            " values (%s, %s, %s, %s, %s)",
            (f"U-{repayment}", loan, at, amount, repayment),
        )

    def _change_an_investor(self) -> None:
        rng = self.random
        number = rng.randrange(INVESTORS)
        if rng.random() < 0.4:
            status = rng.choice(["frozen", "active", "active"])
            self._write("update core.investors set status = %s where investor_id = %s", (status, _investor(number)))
        elif number < HELD_AT_OUR_BANK and rng.random() < 0.5:
            behaviour = rng.choice([*BAD_DAYS_FOR_AN_ACCOUNT, "accept"])
            self.bank.change_account(f"INVESTOR-{number}", behaviour=behaviour)
        else:
            self._write(
                "update core.investors set payout_account = %s, payout_bank = '004' where investor_id = %s",
                (f"220-{rng.randrange(10**6):06d}", _investor(number)),
            )

    def _sell_a_note(self, on: date) -> None:
        rng = self.random
        notes = self.core.execute(
            "select note_id from core.note_holdings where held_until_exclusive is null and held_from < %s order by 1",
            (on,),
        ).fetchall()
        if not notes:
            return
        (note,) = rng.choice(notes)
        self._write(
            "update core.note_holdings set held_until_exclusive = %s"
            " where note_id = %s and held_until_exclusive is null",
            (on, note),
        )
        self._write(
            "insert into core.note_holdings values (%s, %s, %s, null)", (note, _investor(rng.randrange(INVESTORS)), on)
        )

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        self.core.execute(statement, values)


def repayment_of(reference: str) -> str:
    """Return the id of the repayment whose money comes under a reference."""
    return reference.replace("RCPT-", "R-")


def reference_of(repayment: str) -> str:
    """Return the reference under which a repayment's money comes; of one that undoes another there is none."""
    return repayment.replace("R-", "RCPT-") if repayment.startswith("R-") else ""


def iban(bban: str) -> str:
    """Return a Korean account number as mock-bank checks it, with right check digits (ISO 13616)."""
    digits = "".join(str(int(sign, 36)) for sign in f"{bban}KR00")
    return f"KR{98 - int(digits) % 97:02d}{bban}"


def _investor(number: int) -> str:
    return f"I{number:03d}"
