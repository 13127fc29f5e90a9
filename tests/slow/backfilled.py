"""A lender of three loans over 46 business days, of which the past changes: the ground of test_backfills.py.

Each loan owes one instalment on every business day and pays it on that day, so that a date always touches what every
other date touches. What the lender's system says at first is `facts`; `LATER` is what it says otherwise afterwards: a
receipt recorded late, a repayment that its payer's bank took back, a receivable that was too small. Nothing in it takes
paid money back from an investor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import settlement
from settlement import wiring
from settlement.adapters.ledger import migrate
from settlement.domain.days import BankCalendar
from settlement.stages import close, reconcile
from settlement_lab.demo import world
from settlement_lab.demo.world import SEOUL, Holding, Investor, Loan, Note, Receivable, Repayment
from settlement_lab.servers import bank, services

DATES = tuple(BankCalendar("KR", ("public", "bank")).days_between(date(2026, 2, 12), date(2026, 4, 22)))
MONTH, STORM, REST = DATES[:22], DATES[22:42], DATES[42:]
ANNOUNCED = date(2026, 4, 21)  # becomes a holiday before it is settled
MORNING = datetime(2026, 4, 23, 6, tzinfo=SEOUL)  # after the last date
QUIET = (date(2026, 4, 24), date(2026, 4, 27), date(2026, 4, 28))  # until the bank has booked all that it was sent

FIRST, ASKING = MONTH[0], MONTH[10]  # the payouts of the latter are above the limit
LIMIT = 700_000
COLLECTED, REFUSED = date(2026, 2, 19), date(2026, 3, 9)
TAX_FALLS = date(2026, 3, 13)
LOANS = ("L1", "L2", "L3")
PRINCIPAL, LARGE = 40_000, 900_000

LATER = """
insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)
  values ('L1-05', 'L1', '2026-02-23 10:00+09', 49148, 'CR-L1-05');
insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference, reverses_repayment_id)
  values ('L3-03-back', 'L3', '2026-03-09 09:00+09', 49074, 'CMS-L3-03', 'L3-03');
update core.receivables set amount = amount + 5000 where receivable_id = 'L2-04-INT';
"""


def _number(on: date) -> int:
    return DATES.index(on) + 1


def _interest(on: date) -> int:
    return 9_000 + 37 * (_number(on) - 1)


def _paid(loan: str, on: date) -> int:
    return PRINCIPAL + _interest(on) + (LARGE if (loan, on) == ("L3", ASKING) else 0)


def _reference(loan: str, on: date) -> str:
    return f"{'CMS' if (loan, on) == ('L3', COLLECTED) else 'CR'}-{loan}-{_number(on):02}"


def facts() -> Mapping[str, Sequence[NamedTuple]]:
    """Return the rows of the lender's system as they are before `LATER`."""
    disbursed_on, recorded_at = date(2026, 1, 5), datetime(2026, 1, 5, 9, tzinfo=SEOUL)
    notes = [
        Note(f"{loan}-N{n}", loan, size)
        for loan in LOANS
        for n, size in enumerate((1_000_000, 2_000_000, 333_333), start=1)
    ]
    holders = ("A", "B", "C", "B", "C", "D", "A", "D", "A")
    receivables = []
    for loan in LOANS:
        for on in DATES:
            name, number = f"{loan}-{_number(on):02}", _number(on)
            unpaid = 5_000 if (loan, number) == ("L2", 4) else 0
            amounts = {"interest": _interest(on) - unpaid, "principal": _paid(loan, on) - _interest(on)}
            receivables += [
                Receivable(f"{name}-{component[:3].upper()}", loan, number, component, on, amount, recorded_at)
                for component, amount in amounts.items()
            ]
    return {
        "loans": [Loan(loan, "KRW", disbursed_on, f"payer of {loan}", 3_333_333, 0, FIRST) for loan in LOANS],
        "investors": [
            Investor(name, f"investor {name}", tax_class, "active", f"110-20-30000{n}", "901")
            for n, (name, tax_class) in enumerate(
                {"A": "individual", "B": "corporation", "C": "lender", "D": "nonresident"}.items()
            )
        ],
        "notes": notes,
        "note_holdings": [
            Holding(note.note_id, holder, disbursed_on, None) for note, holder in zip(notes, holders, strict=True)
        ],
        "receivables": receivables,
        "repayments": [
            Repayment(f"{loan}-{_number(on):02}", loan, at, _paid(loan, on), _reference(loan, on), None, at)
            for on in DATES
            for loan in LOANS
            for at in [datetime.combine(on, time(10), SEOUL)]
            if (loan, _number(on)) != ("L1", 5)
        ],
        "refunds": [],
    }


def live_through(the_bank: bank.Bank) -> None:
    """Let every business day pass at the bank, with what the borrowers pay on it."""
    for at, on in enumerate(DATES):
        if DATES[at + 1 : at + 2] == (COLLECTED,):  # a direct debit is handed in the business day before
            the_bank.collect(
                reference=_reference("L3", COLLECTED), amount=_paid("L3", COLLECTED), on=COLLECTED, payer="payer of L3"
            )
        for loan in LOANS:
            if (loan, on) != ("L3", COLLECTED):
                the_bank.receive(
                    reference=_reference(loan, on), amount=_paid(loan, on), on=on, payer=f"payer of {loan}"
                )
        if on == REFUSED:
            the_bank.refuse_collection(reference=_reference("L3", COLLECTED))
        the_bank.advance_to(on + timedelta(days=1))
    the_bank.advance_to(MORNING.date())


def begin(endpoints: services.Endpoints) -> None:
    """Create the books of a home, and let its lender and its bank live through all dates."""
    migrate.migrate(endpoints.postgres.settlement_db_url)
    world.load(endpoints.postgres.lending_core_owner_url, dict(facts()))
    live_through(endpoints.bank)


def change(endpoints: services.Endpoints) -> None:
    """Let the past change: `LATER`."""
    with psycopg.connect(endpoints.postgres.lending_core_owner_url.replace("+psycopg", "")) as connection:
        connection.execute(LATER.encode())


def write_policy(path: Path, *, last: date, asks: bool = False, tax_falls: bool = True, closed: bool = False) -> Path:
    """Write the Korean policy for the dates until `last`, and return its path.

    With a limit for ASKING, with the tax on individuals that falls on TAX_FALLS, with the holiday that was announced.
    """
    text = (Path(settlement.__file__).parent / "policies" / "kr.toml").read_text(encoding="utf-8")
    fallen = 'tax_class = "individual"\ndisbursed_from = 2021-08-27\n'
    changes = [
        (r"^# first_settlement_date.*$", f"first_settlement_date = {FIRST}"),
        (r"^# last_settlement_date.*$", f"last_settlement_date = {last}"),
        (r"^catch_up = \d+", f"catch_up = {len(DATES)}"),
        (r'^language = "ko"', 'language = "en"'),
    ]
    if asks:
        changes.append((r"(?<=^\[approval\]).*?$", f"\nlimit.KRW = {LIMIT}"))
    if tax_falls:
        dated = f"settled_until = {TAX_FALLS - timedelta(days=1)}\nrate_ppm = 140000\nde_minimis = 0\n\n"
        dated += "[[withholding.KRW.rules]]\n"
        dated += f"{fallen}settled_from = {TAX_FALLS}\nrate_ppm = 120000\n"
        changes.append((rf"{fallen}rate_ppm = 140000\n", fallen + dated))
    if closed:
        override = f'{{ date = {ANNOUNCED}, business = false, reason = "announced late", by = "ops" }}'
        changes.append((r"^overrides = \[\]", f"overrides = [{override}]"))
    for pattern, ours in changes:
        text, times = re.subn(pattern, ours, text, count=1, flags=re.MULTILINE)
        assert times == 1, f"kr.toml has no line [{pattern}]"
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def product(endpoints: services.Endpoints, policy: Path, *, now: datetime = MORNING) -> Iterator[Any]:
    """Yield the product's services on a home, in this process."""
    environment = endpoints.environment() | {"SETTLEMENT_POLICY": str(policy), "SETTLEMENT_NOW": now.isoformat()}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with wiring.services() as opened:
            yield opened


def end_state(endpoints: services.Endpoints, policy: Path) -> dict[str, Any]:
    """Let the bank book all that it was sent, and return where books and bank stand; `verify` finds nothing wrong.

    How often a date was settled, by which run and in which order is no part of it.
    """
    for on in QUIET:
        endpoints.bank.advance_to(on)
    last = datetime.combine(QUIET[-1], time(6), SEOUL)
    with product(endpoints, policy, now=last) as opened:
        reconcile.take_in_everything(opened, now=last)
        assert close.verify(opened) == []
    with psycopg.connect(endpoints.postgres.settlement_db_url.replace("+psycopg", "")) as connection:
        books = {name: connection.execute(query.encode()).fetchall() for name, query in STATE.items()}
    held = {"bank": endpoints.bank.balance("PLATFORM")}
    return books | held


STATE = {
    "days": "select settlement_date, currency, repayment_count, received_amount, distributed_amount, fee_amount,"
    " vat_amount, national_tax_amount, local_tax_amount, cost_amount, credit_amount, quarantined_amount,"
    " refunded_amount from reporting.settlement_days order by 1, 2",
    "allocations": "select settlement_date, repayment_id, receivable_id, component, amount"
    " from reporting.allocations order by 1, 2, 3, 5",
    "shares": "select settlement_date, repayment_id, receivable_id, note_id, investor_id, component, gross_amount,"
    " fee_amount, vat_amount, national_tax_amount, local_tax_amount, net_amount from reporting.shares"
    " order by 1, 2, 3, 4, 7",
    "journal": "select account, currency, sum(amount) from reporting.journal group by 1, 2 having sum(amount) <> 0"
    " order by 1, 2",
    "balances": "select account, currency, amount from reporting.balances order by 1, 2",
    "paid": "select payee_id, state, sum(amount) from reporting.payouts group by 1, 2 order by 1, 2",
    "breaks": "select cause, subject_kind, subject_id, amount from reporting.breaks"
    " where state in ('open', 'assigned') order by 1, 2, 3",
}
