"""From a payout back to the repayments: why an investor got what they got on a day."""

from collections import defaultdict
from datetime import date
from typing import Any

from settlement.ports.books import Books

PARTS = ("gross_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount", "net_amount")


def why(books: Books, investor_id: str, on: date) -> dict[str, Any]:
    """Return the investor's shares of the day, the payouts made that day, and every posting on the investor's account.

    A payout pays the balance, whichever day earned it, so it may differ from the day's net; the journal shows both.
    """
    shares = books.payouts.shares_of(investor_id, on)
    payouts = books.payouts.of_investor(investor_id, on)
    totals: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(PARTS, 0))
    for share in shares:
        for part in PARTS:
            totals[share["currency"]][part] += share[part]
    journal = books.payouts.journal_of(investor_id, on)
    return {
        "investor_id": investor_id,
        "settlement_date": on.isoformat(),
        "shares": shares,
        "totals": dict(totals),
        "payouts": payouts,
        "journal": journal,
        "holds": [hold for hold in books.payouts.holds() if hold["investor_id"] == investor_id],
    }
