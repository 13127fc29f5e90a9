"""A month's money, summed up from what was posted and settled under its dates."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.books.accounts import DISTRIBUTED, INVESTOR_PAYABLE, PREPARED, Remittance
from settlement.domain.days import DayState
from settlement.domain.policy import TAXED_COMPONENTS
from settlement.ports.month import (
    AccountSum,
    ChargedFees,
    DueMonth,
    InvestorSum,
    JournalSum,
    MonthCertificate,
    MonthDay,
    MonthSum,
    RemittedLine,
    StandingBreak,
    TaxedShares,
)

HERE = __package__
KINDS = {kind.account.name: kind for kind in Remittance}
"""By account: what stands on it until it is handed on."""
LAST_ENTRY = 2**63 - 1


class Months(Repository):
    """What a month's settlement dates came to: see `ports.month`."""

    def days(self, first: date, last: date) -> list[MonthDay]:
        """Return the settlement dates of a period that were opened, in order."""
        rows = self.transaction.execute(sql(HERE, "days"), {"first": first, "last": last}).mappings()
        return [MonthDay(**row | {"state": DayState(row["state"])}) for row in map(dict, rows)]

    def taxed(self, on: date) -> list[TaxedShares]:
        """Return the shares of interest and late interest of a date, as the books stand, by investor and loan."""
        rows = self.transaction.execute(sql(HERE, "taxed"), {"on": on, "components": list(TAXED_COMPONENTS)})
        return [TaxedShares(**row._mapping) for row in rows]

    def fees(self, first: date, last: date) -> list[ChargedFees]:
        """Return what each settlement date of a period charged, as the books stand, by date and currency."""
        rows = self.transaction.execute(sql(HERE, "fees"), {"first": first, "last": last})
        return [ChargedFees(**row._mapping) for row in rows]

    def journal(self, first: date, last: date, *, until: int | None = None) -> list[JournalSum]:
        """Return what was posted under the dates of a period, until an entry, by kind of account, event, currency."""
        named = {"first": first, "last": last, "until": LAST_ENTRY if until is None else until}
        return [JournalSum(**row._mapping) for row in self.transaction.execute(sql(HERE, "journal"), named)]

    def newest_entry(self) -> int:
        """Return the number of the newest entry of the journal."""
        newest = sa.text("select coalesce(max(entry_id), 0) from ledger.entries")
        return int(self.transaction.execute(newest).scalar_one())

    def balances(self, on: date) -> list[AccountSum]:
        """Return what each kind of account holds at the end of a date."""
        return [AccountSum(**row._mapping) for row in self.transaction.execute(sql(HERE, "balances"), {"on": on})]

    def investors(self, first: date, last: date) -> list[InvestorSum]:
        """Return every investor's account over a period, by id and currency."""
        named = {
            "first": first,
            "last": last,
            "prefix": INVESTOR_PAYABLE.prefix,
            "earned": list(DISTRIBUTED),
            "paid": list(PREPARED),
        }
        return [InvestorSum(**row._mapping) for row in self.transaction.execute(sql(HERE, "investors"), named)]

    def breaks(self, on: date) -> list[StandingBreak]:
        """Return the breaks that were opened by the end of a date and not over by then, oldest first."""
        return [StandingBreak(**row._mapping) for row in self.transaction.execute(sql(HERE, "breaks"), {"on": on})]

    def sums(self) -> list[MonthSum]:
        """Return what was kept back of each month, and what was handed on for it, oldest first."""
        rows = self.transaction.execute(sql(HERE, "sums")).mappings()
        return [MonthSum(**row | {"kind": Remittance(row["kind"])}) for row in map(dict, rows)]

    def unmatched(self) -> list[RemittedLine]:
        """Return the lines that hand something on and pay no month's sum so far, by booking date."""
        rows = self.transaction.execute(sql(HERE, "unmatched"), {"accounts": list(KINDS)})
        return [
            RemittedLine(
                line_id=row.line_id,
                kind=KINDS[row.account],
                currency=row.currency,
                booking_date=row.booking_date,
                amount=row.amount,
            )
            for row in rows
        ]

    def keep_remittances(self, line: RemittedLine, parts: Mapping[date, int], *, now: datetime) -> None:
        """Write which months' sums a line pays, and with how much of it."""
        for month, amount in parts.items():
            named = {"line_id": line.line_id, "kind": line.kind, "month": month, "currency": line.currency}
            self.transaction.execute(sql(HERE, "keep_remittance"), named | {"amount": amount, "now": now})

    def due(self) -> list[DueMonth]:
        """Return the months of which a date was certified since they were, oldest first."""
        return [DueMonth(**row._mapping) for row in self.transaction.execute(sql(HERE, "due"))]

    def certificates(self) -> list[MonthCertificate]:
        """Return every certificate of a month in the order in which they were issued."""
        every = sa.text("select * from ledger.month_certificates order by number")
        return [MonthCertificate(**row._mapping) for row in self.transaction.execute(every)]

    def certificate(self, month: date) -> MonthCertificate | None:
        """Return the newest certificate of a month."""
        newest = sa.text("select * from ledger.month_certificates where month = :month order by number desc limit 1")
        row = self.transaction.execute(newest, {"month": month}).first()
        return MonthCertificate(**row._mapping) if row else None

    def keep_certificate(self, certificate: MonthCertificate) -> None:
        """Write a certificate; nothing changes it afterwards."""
        self.transaction.execute(sql(HERE, "keep_certificate"), asdict(certificate))
