"""From a payout back to the repayments: why an investor got what they got on a day."""

from collections import defaultdict
from dataclasses import asdict
from datetime import date
from typing import Any

from settlement.ports.books import Books

PARTS = ("gross_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount", "net_amount")


def why(books: Books, investor_id: str, on: date) -> dict[str, Any]:
    """Return the investor's shares of the day, the payouts made that day, and every posting on the investor's account.

    A payout pays the balance, whichever day earned it, so it may differ from the day's net; the journal shows both.
    """
    shares = books.explain.shares(investor_id, on)
    totals: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(PARTS, 0))
    for share in shares:
        for part in PARTS:
            totals[share.currency][part] += getattr(share, part)
    return {
        "investor_id": investor_id,
        "settlement_date": on.isoformat(),
        "shares": [asdict(share) for share in shares],
        "totals": dict(totals),
        "payouts": [asdict(payout) for payout in books.explain.payouts(investor_id, on)],
        "journal": [asdict(posting) for posting in books.explain.postings(investor_id, on)],
        "holds": [asdict(hold) for hold in books.explain.holds(investor_id)],
    }
