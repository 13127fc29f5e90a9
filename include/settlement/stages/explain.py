"""From a payout back to the repayments: why an investor got what they got on a day."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from settlement.ports.books import Books
from settlement.ports.explain import SHARE_AMOUNTS, Earning, InvestorShare


def why(books: Books, investor_id: str, on: date) -> dict[str, Any]:
    """Return the investor's money of a day, from the payouts back to the lines of the bank, and what revisions changed.

    That is the day's payouts, every posting on the investor's account, the shares, the allocations that they are part
    of, and the lines that show the repayments. A payout pays the balance, whichever day earned it, so it may differ
    from the day's net; the journal shows both. `revisions` holds each revision of the date with its `changes` of the
    investor's shares, net before and after: none for the first, and none where it changed others alone.
    """
    shares = books.explain.shares(investor_id, on)
    allocations = books.explain.allocations(investor_id, on)
    repayments = sorted({allocation.repayment_id for allocation in allocations})
    changes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for change in books.explain.share_changes(investor_id, on):
        changes[change.revision].append(asdict(change) | {"difference": change.after - change.before})
    return {
        "investor_id": investor_id,
        "settlement_date": on.isoformat(),
        "shares": [asdict(share) for share in shares],
        "totals": sums(shares),
        "payouts": [asdict(payout) for payout in books.explain.payouts(investor_id, on, on)],
        "journal": [asdict(posting) for posting in books.explain.postings(investor_id, on)],
        "holds": [asdict(hold) for hold in books.explain.holds(investor_id)],
        "allocations": [asdict(allocation) for allocation in allocations],
        "bank_lines": [asdict(line) for line in books.explain.bank_lines(repayments)],
        "revisions": [
            asdict(made) | {"changes": changes.get(made.revision, [])} for made in books.explain.revisions(on)
        ],
    }


def sums(shares: Iterable[InvestorShare | Earning]) -> dict[str, dict[str, int]]:
    """Return the sums of each part of some shares, by currency."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SHARE_AMOUNTS, 0))
    for share in shares:
        for part in SHARE_AMOUNTS:
            found[share.currency][part] += getattr(share, part)
    return dict(found)
