"""One investor's money of a day, row by row."""

from collections.abc import Sequence
from datetime import date

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.books.accounts import INVESTOR_PAYABLE
from settlement.ports.explain import (
    AccountMovement,
    ChangedShare,
    Earning,
    HeldBalance,
    InvestorAllocation,
    InvestorPayout,
    InvestorPosting,
    InvestorShare,
    MadeRevision,
    RepaymentLine,
)

HERE = __package__


class Explanations(Repository):
    """What an investor's money of a day is made of: see `ports.explain`."""

    def shares(self, investor_id: str, on: date) -> list[InvestorShare]:
        """Return the investor's shares of the day's newest revision, in the order of the run."""
        rows = self.transaction.execute(sql(HERE, "shares"), {"on": on, "investor": investor_id})
        return [InvestorShare(**row._mapping) for row in rows]

    def payouts(self, investor_id: str, first: date, last: date) -> list[InvestorPayout]:
        """Return the investor's payouts from a settlement date to another, without personal data."""
        rows = self.transaction.execute(sql(HERE, "payouts"), {"first": first, "last": last, "investor": investor_id})
        return [InvestorPayout(**row._mapping) for row in rows]

    def postings(self, investor_id: str, on: date) -> list[InvestorPosting]:
        """Return the postings of the day on the investor's account, in the order in which they were recorded."""
        rows = self.transaction.execute(sql(HERE, "postings"), {"on": on, "account": INVESTOR_PAYABLE(investor_id)})
        return [InvestorPosting(**row._mapping) for row in rows]

    def holds(self, investor_id: str) -> list[HeldBalance]:
        """Return what the investor is owed and not paid now, by currency."""
        rows = self.transaction.execute(sql(HERE, "holds"), {"investor": investor_id})
        return [HeldBalance(**row._mapping) for row in rows]

    def allocations(self, investor_id: str, on: date) -> list[InvestorAllocation]:
        """Return the allocations of the day of which the investor has a share, as the books stand, in their order."""
        rows = self.transaction.execute(sql(HERE, "allocations"), {"on": on, "investor": investor_id})
        return [InvestorAllocation(**row._mapping) for row in rows]

    def bank_lines(self, repayment_ids: Sequence[str]) -> list[RepaymentLine]:
        """Return the lines that show these repayments, by repayment and booking date."""
        rows = self.transaction.execute(sql(HERE, "bank_lines"), {"repayments": list(repayment_ids)})
        return [RepaymentLine(**row._mapping) for row in rows]

    def revisions(self, on: date) -> list[MadeRevision]:
        """Return the revisions of a date in their order."""
        rows = self.transaction.execute(sql(HERE, "revisions"), {"on": on})
        return [MadeRevision(**row._mapping) for row in rows]

    def share_changes(self, investor_id: str, on: date) -> list[ChangedShare]:
        """Return what each later revision of the date changed of the investor's shares, by revision and share."""
        rows = self.transaction.execute(sql(HERE, "share_changes"), {"on": on, "investor": investor_id})
        return [ChangedShare(**row._mapping) for row in rows]

    def movements(self, investor_id: str, until: date) -> list[AccountMovement]:
        """Return by how much each event moved the investor's account on each settlement date until this one."""
        named = {"account": INVESTOR_PAYABLE(investor_id), "until": until}
        return [
            AccountMovement(**row._mapping) for row in self.transaction.execute(sql(HERE, "account_movements"), named)
        ]

    def earnings(self, investor_id: str, first: date, last: date) -> list[Earning]:
        """Return the investor's shares from a settlement date to another, as the books stand, by date and loan."""
        named = {"investor": investor_id, "first": first, "last": last}
        return [Earning(**row._mapping) for row in self.transaction.execute(sql(HERE, "earnings"), named)]
