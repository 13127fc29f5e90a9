"""The ledger on PostgreSQL: one `Books` is one transaction, with a repository for each subject."""

import sqlalchemy as sa

from settlement.adapters.ledger.approvals.repository import Approvals
from settlement.adapters.ledger.bank_lines.in_transit import InTransit
from settlement.adapters.ledger.bank_lines.repository import BankLines
from settlement.adapters.ledger.breaks.repository import Breaks
from settlement.adapters.ledger.close.repository import Close
from settlement.adapters.ledger.explain.repository import Explanations
from settlement.adapters.ledger.files.repository import PaymentFiles
from settlement.adapters.ledger.inputs.repository import BookedInputs
from settlement.adapters.ledger.journal.repository import Journal
from settlement.adapters.ledger.month.repository import Months
from settlement.adapters.ledger.opening.repository import Opening
from settlement.adapters.ledger.outcomes.repository import Outcomes
from settlement.adapters.ledger.payouts.repository import Payouts
from settlement.adapters.ledger.refunds.repository import Refunds
from settlement.adapters.ledger.replays.repository import Replays
from settlement.adapters.ledger.unit_of_work import NotifyingBooks, Transactions
from settlement.domain.alerts.routing import AlertsPolicy


class PostgresBooks(NotifyingBooks):
    """One transaction on the settlement database."""

    def __init__(self, transaction: sa.Connection, *, alerts: AlertsPolicy) -> None:
        super().__init__(transaction, alerts=alerts)
        self.inputs = BookedInputs(transaction)
        self.opening = Opening(transaction)
        self.outcomes = Outcomes(transaction)
        self.replays = Replays(transaction)
        self.journal = Journal(transaction)
        self.payouts = Payouts(transaction, self.journal)
        self.refunds = Refunds(transaction, self.journal)
        self.files = PaymentFiles(transaction)
        self.approvals = Approvals(transaction)
        self.bank_lines = BankLines(transaction, self.journal)
        self.in_transit = InTransit(transaction)
        self.breaks = Breaks(transaction)
        self.close = Close(transaction)
        self.explain = Explanations(transaction)
        self.months = Months(transaction)


class PostgresLedger(Transactions[PostgresBooks]):
    """The settlement database, with everything that the stages ask of it."""

    kind = PostgresBooks
