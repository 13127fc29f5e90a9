"""The ledger as far as telling people of a failure needs it: days and payouts, without the weight of frames."""

from settlement.adapters.ledger.days import Days
from settlement.adapters.ledger.payouts import Payouts
from settlement.adapters.ledger.transactions import Transactions


class TellingBooks(Days, Payouts):
    """One transaction on the settlement database."""


class TellingLedger(Transactions[TellingBooks]):
    """The settlement database, as far as a callback of Airflow needs it."""

    kind = TellingBooks
