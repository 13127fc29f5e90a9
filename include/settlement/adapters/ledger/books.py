"""The ledger on PostgreSQL: one `Books` is one transaction, and knows everything that the stages ask of it."""

from settlement.adapters.ledger.bank_lines import BankLines
from settlement.adapters.ledger.breaks import Breaks
from settlement.adapters.ledger.closing import Closing
from settlement.adapters.ledger.days import Days
from settlement.adapters.ledger.in_transit import InTransit
from settlement.adapters.ledger.inputs import BookedInputs
from settlement.adapters.ledger.outcome import Outcomes
from settlement.adapters.ledger.payouts import Payouts
from settlement.adapters.ledger.transactions import Transactions


class PostgresBooks(Days, BookedInputs, Outcomes, Payouts, BankLines, InTransit, Breaks, Closing):
    """One transaction on the settlement database."""


class PostgresLedger(Transactions[PostgresBooks]):
    """The settlement database, with everything that the stages ask of it."""

    kind = PostgresBooks
