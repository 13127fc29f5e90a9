"""A month: its dates, what was kept back and is to be handed on, what investors earned, and what the account holds.

A month is its settlement dates: what was posted under one of them belongs to it, whenever it was corrected. It is read
from the books as they stand and from the frozen inputs, which alone name tax classes. What is not of the month stays
out: breaks and balances are those of its end, so the same month is the same report whatever came after it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from settlement.domain import remittances
from settlement.domain.books.accounts import DISTRIBUTED, Remittance
from settlement.domain.days import ONE_DAY, DayState, SettlementCalendar
from settlement.domain.errors import BrokenInvariant, Refused
from settlement.domain.policy import Policy
from settlement.ports.bank_lines import KeptStatement
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.month import TAXED, JournalSum, MonthDay, TaxedShares
from settlement.ports.services import Services
from settlement.stages import close, extract, standing

TAKEN_OVER = "opening_position"
OF_SHARES = (Remittance.NATIONAL_TAX, Remittance.LOCAL_TAX)
"""What of what is handed on was kept back of shares one by one."""
HANDED_ON = ("remitted", "suspense_resolved")
"""The events by which what was kept back leaves the custody account, or comes back to it."""

OF_THE_DAY = tuple(name for name in standing.TOTALS if name != "repayment_count")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenTerms:
    """What a revision was computed with, as far as a share's tax follows from it."""

    policy: Policy
    tax_classes: Mapping[str, str]
    disbursed_on: Mapping[str, date]


def month(services: Services, books: Books, of: date) -> dict[str, Any]:
    """Return a month in whole minor units, as tables; `of` is any date in it.

    `days` are its settlement dates, `days_open` those of them that are not closed. `totals` are the sums of its days.
    `filing` is what was withheld by tax class and rate, with the number of investors, `withholding` the same by date.
    `fees` are by date, with VAT. `payables` say of what was kept back what was there before, what the month charged,
    what was handed on in it, and what is left, with the day by which the month's sum is due. `investors` are their
    accounts, `accounts` and `journal` what the ledger held and what moved it. `custody` is what bank and ledger held
    before and after, with the statement that says so. `old_breaks` were open at its end, for longer than the policy
    allows.

    Raises Refused: no date of the month was opened, or frozen inputs of it are not there.
    Raises BrokenInvariant: shares, totals and journal differ.
    """
    first, last = of.replace(day=1), remittances.last_of(of)
    dates = dates_of(services.calendar, books, first, last)
    opened = {day.settlement_date: day for day in books.months.days(first, last)}
    if not opened:
        raise Refused(f"The books have no settlement date in [{first:%Y-%m}]: look for another month")
    journal = books.months.journal(first, last)
    taxes = _withheld(services, books, sorted(opened))
    found = {
        "month": f"{first:%Y-%m}",
        "first": first.isoformat(),
        "last": last.isoformat(),
        "policy": _policy(services, books, sorted(opened)),
        "days_open": [on.isoformat() for on in dates if on not in opened or opened[on].state != DayState.CLOSED],
        "days": [_day(on, opened.get(on)) for on in dates],
        "totals": _totals(books, sorted(opened)),
        "filing": _filing(taxes),
        "withholding": _by_date(taxes),
        "fees": [
            asdict(row) | {"settlement_date": row.settlement_date.isoformat()} for row in books.months.fees(first, last)
        ],
        "payables": _payables(services, books, first, last, journal),
        "investors": [asdict(row) for row in books.months.investors(first, last)],
        "accounts": _accounts(books, last, journal),
        "journal": [asdict(row) for row in journal],
        "custody": _custody(services, books, first, last),
        "old_breaks": _old_breaks(services, books, max(opened)),
    }
    _prove(found, taxes)
    return found


def dates_of(calendar: SettlementCalendar, books: Books, first: date, last: date) -> list[date]:
    """Return the settlement dates of a period: those of the calendar, and what was settled under another one."""
    settled = (on for on in books.days.settled() if first <= on <= last)
    return sorted({*calendar.days_between(first, last), *settled})


def _policy(services: Services, books: Books, dates: Sequence[date]) -> dict[str, str]:
    """Return which policy the newest computed date was computed with, or the one in use where none was computed."""
    for on in reversed(dates):
        found = books.close.revision(on)
        if found is not None:
            return {"name": found.policy_name, "version": found.policy_version, "sha256": found.policy_sha256}
    return {name: getattr(services.policy, name) for name in ("name", "version", "sha256")}


def _day(on: date, found: MonthDay | None) -> dict[str, Any]:
    return {
        "settlement_date": on.isoformat(),
        "state": str(found.state) if found else "absent",
        "revision": found.revision if found else None,
        "certificate": found.certificate if found else None,
        "sha256": found.sha256 if found else None,
    }


def _totals(books: Books, dates: Sequence[date]) -> list[dict[str, Any]]:
    """Return what the dates came to together, by currency."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for on in dates:
        for of_day in books.days.totals(on):
            for name in OF_THE_DAY:
                sums[of_day.currency][name] += getattr(of_day, name)
    return [{"currency": currency, **{name: sums[currency][name] for name in OF_THE_DAY}} for currency in sorted(sums)]


# ------------------------------------------------------------------------------------------------------------- taxes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taxed:
    """Shares of an investor with the class and the rate by which they were taxed."""

    tax_class: str
    rate_ppm: int
    shares: TaxedShares


def _withheld(services: Services, books: Books, dates: Sequence[date]) -> list[_Taxed]:
    """Return the taxed shares of dates, each with its class and rate as its revision was computed.

    Raises Refused: frozen inputs, or the policy of a revision, are not there.
    """
    terms: dict[tuple[date, int], FrozenTerms] = {}
    rates: dict[tuple[date, int, str, str, date], int] = {}
    found = []
    for on in dates:
        for row in books.months.taxed(on):
            revision = row.frozen_on, row.frozen_revision
            if revision not in terms:
                terms[revision] = _frozen_terms(services, books, *revision)
            used = terms[revision]
            case = (*revision, row.currency, used.tax_classes[row.investor_id], used.disbursed_on[row.loan_id])
            if case not in rates:
                rates[case] = _rate(used.policy, *case[2:], on=row.frozen_on)
            found.append(_Taxed(tax_class=case[3], rate_ppm=rates[case], shares=row))
    return found


def _frozen_terms(services: Services, books: Books, on: date, number: int) -> FrozenTerms:
    """Return what a revision was computed with.

    Raises Refused: its frozen inputs or its policy are not there.
    """
    revision = next(found for found in books.close.revisions(on) if found.revision == number)
    name = extract.snapshot_name(DayRun(settlement_date=on, revision=number, run_id="month", dry_run=True))
    investors, loans = (
        services.snapshots.table(name, table, input_sha256=revision.input_sha256) for table in ("investors", "loans")
    )
    return FrozenTerms(
        policy=close.policy_of(services, books, revision),
        tax_classes=dict(zip(investors["investor_id"], investors["tax_class"], strict=True)),
        disbursed_on={
            loan_id: disbursed_on.date()
            for loan_id, disbursed_on in zip(loans["loan_id"], loans["disbursed_on"], strict=True)
        },
    )


def _rate(policy: Policy, currency: str, tax_class: str, disbursed_on: date, *, on: date) -> int:
    (rule,) = policy.tax_rules(
        currency=currency, tax_class=tax_class, disbursed_on=disbursed_on, settlement_date=on
    )  # exactly one, or the loan would have been quarantined
    return rule.rate_ppm


def _by_date(taxes: Sequence[_Taxed]) -> list[dict[str, Any]]:
    """Return what was withheld by date, currency, tax class and rate."""
    sums: dict[tuple[str, str, str, int], Counter[str]] = defaultdict(Counter)
    for taxed in taxes:
        on = taxed.shares.settlement_date.isoformat()
        _add(sums[on, taxed.shares.currency, taxed.tax_class, taxed.rate_ppm], taxed.shares)
    names = ("settlement_date", "currency", "tax_class", "rate_ppm")
    return [dict(zip(names, key, strict=True)) | _taxed(amounts) for key, amounts in sorted(sums.items())]


def _filing(taxes: Sequence[_Taxed]) -> list[dict[str, Any]]:
    """Return what the month's filing asks for by currency, tax class and rate: how many investors, paid, withheld.

    An investor from whom all of it was taken back counts no more.
    """
    sums: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    paid: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    for taxed in taxes:
        key = taxed.shares.currency, taxed.tax_class, taxed.rate_ppm
        _add(sums[key], taxed.shares)
        paid[key][taxed.shares.investor_id] += taxed.shares.gross_amount
    names = ("currency", "tax_class", "rate_ppm")
    return [
        dict(zip(names, key, strict=True)) | {"investor_count": sum(map(bool, paid[key].values()))} | _taxed(amounts)
        for key, amounts in sorted(sums.items())
    ]


def _add(sums: Counter[str], shares: TaxedShares) -> None:
    for name in TAXED:
        sums[name] += getattr(shares, name)


def _taxed(sums: Counter[str]) -> dict[str, int]:
    return {name: sums[name] for name in TAXED}


# ---------------------------------------------------------------------------------------------- the ledger's accounts


def _payables(
    services: Services, books: Books, first: date, last: date, journal: Sequence[JournalSum]
) -> list[dict[str, Any]]:
    """Return what was kept back, by currency and kind: before the month, charged, handed on, corrected, and left."""
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in journal:
        sums[row.currency, row.account][_line(row.event)] += row.credit - row.debit
    left = {(row.currency, row.account): -row.amount for row in books.months.balances(last)}
    found = []
    for currency in sorted({currency for currency, _ in (*sums, *left)}):
        for kind in Remittance:
            key = currency, kind.account.name
            if key not in sums and key not in left:
                continue
            moved, closing = sums[key], left.get(key, 0)
            charged, handed_on, corrected = moved["charged"], moved["handed_on"], moved["corrected"]
            found.append(
                {
                    "currency": currency,
                    "kind": str(kind),
                    "opening_amount": closing - charged - handed_on - corrected,
                    "charged_amount": charged,
                    "remitted_amount": -handed_on,
                    "corrected_amount": corrected,
                    "closing_amount": closing,
                    "due_on": _due_on(services, kind, first),
                }
            )
    return found


def _due_on(services: Services, kind: Remittance, month: date) -> str | None:
    due = remittances.due_on(services.policy.remittances, kind, month, calendar=services.calendar.calendar)
    return due.isoformat() if due else None


def _line(event: str) -> str:
    """Name the line of a payable that an event moves; what was taken over was there before."""
    if event == TAKEN_OVER:
        return "opening"
    return "charged" if event in DISTRIBUTED else "handed_on" if event in HANDED_ON else "corrected"


def _prove(found: Mapping[str, Any], taxes: Sequence[_Taxed]) -> None:
    """Prove that the journal charged and credited what the days come to, and what their shares were taxed with.

    Raises BrokenInvariant: it did not.
    """
    booked = {(row["currency"], row["kind"]): row["charged_amount"] for row in found["payables"]}
    earned: Counter[tuple[str, str]] = Counter()
    for row in found["investors"]:
        earned[row["currency"], "distributed"] += row["earned_amount"]
    taxed: Counter[tuple[str, str]] = Counter()
    for one in taxes:
        taxed[one.shares.currency, Remittance.NATIONAL_TAX] += one.shares.national_tax_amount
        taxed[one.shares.currency, Remittance.LOCAL_TAX] += one.shares.local_tax_amount
    for totals in found["totals"]:
        currency = totals["currency"]
        for name in (*Remittance, "distributed"):
            key, days = (currency, name), totals[f"{name}_amount"]
            shares = taxed[key] if name in OF_SHARES else days
            journal = earned[key] if name == "distributed" else booked.get(key, 0)
            if not journal == days == shares:
                raise BrokenInvariant(
                    f"Of [{name}] the journal has [{journal} {currency}] in [{found['month']}], the days come to"
                    f" [{days}] and their shares to [{shares}]: `settlement verify` names what is broken"
                )


def _accounts(books: Books, last: date, journal: Sequence[JournalSum]) -> list[dict[str, Any]]:
    """Return by kind of account and currency what it held before the month, what moved it, and what it holds then."""
    moved: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in journal:
        moved[row.account, row.currency]["debit"] += row.debit
        moved[row.account, row.currency]["credit"] += row.credit
    held = {(row.account, row.currency): row.amount for row in books.months.balances(last)}
    return [
        {
            "account": key[0],
            "currency": key[1],
            "opening_amount": held.get(key, 0) - moved[key]["debit"] + moved[key]["credit"],
            "debit": moved[key]["debit"],
            "credit": moved[key]["credit"],
            "closing_amount": held.get(key, 0),
        }
        for key in sorted({*moved, *held})
    ]


# --------------------------------------------------------------------------------------------- the bank, and the breaks


def _custody(services: Services, books: Books, first: date, last: date) -> list[dict[str, Any]]:
    """Return what each side had before the month, what came, went, and what it has, with the bank's last statement."""
    settled = [on for on in books.days.settled() if first <= on <= last]
    if not settled:
        return []
    chain = books.bank_lines.statements(services.debtor.account) if services.debtor else []
    moved = close.movements(services, books, chain, max(settled), first=first)
    shown: list[KeptStatement] = [found for found in chain if found.business_date <= max(settled)]
    return [
        {
            "side": side.split(" ")[0],
            "currency": side.split(" ")[1],
            **{f"{name}_amount": amount for name, amount in sums.items()},
            "statement_id": shown[-1].statement_id if shown and side.startswith("bank ") else None,
            "sha256": shown[-1].sha256 if shown and side.startswith("bank ") else None,
        }
        for side, sums in sorted(moved.items())
    ]


def _old_breaks(services: Services, books: Books, on: date) -> list[dict[str, Any]]:
    """Return the breaks that were open at the end of a date for more business days than the policy allows.

    A break lives on: the date's certificate keeps what it was then.
    """
    calendar, certificate = services.calendar.calendar, books.close.certificate(on)
    certified = json.loads(certificate.body)["open_breaks"] if certificate else ()
    amounts = {row["break_id"]: row["amount"] for row in certified}
    found = [
        asdict(row)
        | {
            "amount": amounts.get(row.break_id, row.amount),
            "opened_on": row.opened_on.isoformat(),
            "age_business_days": len(calendar.days_between(row.opened_on + ONE_DAY, on)),
        }
        for row in books.months.breaks(on)
    ]
    return [row for row in found if row["age_business_days"] > services.policy.deadlines.break_business_days]
