"""A month's money, summed up from what was posted and settled under its dates."""

from datetime import date

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.books.accounts import DISTRIBUTED, INVESTOR_PAYABLE, PREPARED
from settlement.domain.days import DayState
from settlement.domain.policy import TAXED_COMPONENTS
from settlement.ports.month import (
    AccountSum,
    ChargedFees,
    InvestorSum,
    JournalSum,
    MonthDay,
    StandingBreak,
    TaxedShares,
)

HERE = __package__


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

    def journal(self, first: date, last: date) -> list[JournalSum]:
        """Return what was posted under the dates of a period, by kind of account, event and currency."""
        rows = self.transaction.execute(sql(HERE, "journal"), {"first": first, "last": last})
        return [JournalSum(**row._mapping) for row in rows]

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
