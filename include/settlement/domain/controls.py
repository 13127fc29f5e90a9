"""What must hold before anything is posted or paid, as a list of named checks that reads aloud.

A broken control is not bad input: it means that the product is wrong, so the day stops before money moves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from settlement.domain.books.accounts import PAYOUTS_IN_TRANSIT, RECEIPTS_IN_TRANSIT, SUSPENSE
from settlement.domain.errors import Broken
from settlement.domain.frames import Outcome


def check_outcome(outcome: Outcome) -> None:
    """Prove every control of an outcome.

    Raises Broken: naming the first that does not hold and by how much.
    """
    for control in CONTROLS:
        problem = control(outcome)
        if problem:
            raise Broken(control.__name__, problem)


def shares_sum_to_allocations(outcome: Outcome) -> str | None:
    """Every distributed allocation is the sum of its shares; costs have none."""
    allocations, shares = outcome.allocations, outcome.shares
    first = _first(allocations["allocation_no"])
    places = shares["allocation_no"].to_numpy() - first
    strays = _strays(places, len(allocations))
    if len(strays):
        return f"share of note [{shares['note_id'].iloc[strays[0]]}] is of no allocation: [{places[strays[0]] + first}]"
    shared = _sums(places, shares["gross_amount"].to_numpy(), len(allocations))
    wanted = np.where((allocations["component"] == "cost").to_numpy(), 0, allocations["amount"].to_numpy())
    wrong = np.flatnonzero(shared != wanted)
    if len(wrong):
        row = int(wrong[0])
        return f"allocation [{row + first}] of [{wanted[row]}] has shares of [{shared[row]}]"
    return None


def shares_add_up(outcome: Outcome) -> str | None:
    """Every share is its net, fee, VAT and taxes."""
    s = outcome.shares
    kept = s["net_amount"] + s["fee_amount"] + s["vat_amount"] + s["national_tax_amount"] + s["local_tax_amount"]
    wrong = np.flatnonzero((kept != s["gross_amount"]).to_numpy())
    return f"share of note [{s['note_id'].iloc[int(wrong[0])]}] does not add up" if len(wrong) else None


def refunds_are_held_credit(outcome: Outcome) -> str | None:
    """What refunds take of a loan is what leaves its held credits for them, and nothing else."""
    of_credits = outcome.credits[outcome.credits["event"] == "refunded"].groupby("loan_id")["amount"].sum()
    of_refunds = outcome.refunds.groupby("loan_id")["amount"].sum()
    left = of_refunds.add(of_credits, fill_value=0)
    for loan_id in left.index[left != 0]:
        taken, credit = int(of_refunds.get(loan_id, 0)), -int(of_credits.get(loan_id, 0))
        return f"refunds of loan [{loan_id}] take [{taken}], its held credits lose [{credit}]"
    return None


def entries_balance(outcome: Outcome) -> str | None:
    """Every journal entry has postings, they sum to zero, and every posting has its entry."""
    postings, length = outcome.postings, len(outcome.entries)
    first = _first(outcome.entries["entry_no"])
    places = postings["entry_no"].to_numpy() - first
    strays = _strays(places, length)
    if len(strays):
        return f"posting to [{postings['account'].iloc[strays[0]]}] is of no entry: [{places[strays[0]] + first}]"
    bare = np.flatnonzero(np.bincount(places, minlength=length) == 0)
    if len(bare):
        return f"entry [{int(bare[0]) + first}] has no postings"
    sums = _sums(places, postings["amount"].to_numpy(), length)
    wrong = np.flatnonzero(sums)
    return f"entry [{int(wrong[0]) + first}] sums to [{sums[wrong[0]]}]" if len(wrong) else None


def received_is_accounted_for(outcome: Outcome) -> str | None:
    """In every currency, what was received is all accounted for."""
    for row in outcome.totals.to_dict("records"):
        parts = sum(int(row[name]) for name in row if str(name).endswith("_amount") and name != "received_amount")
        if parts != row["received_amount"]:
            return f"[{row['currency']}] received [{row['received_amount']}], accounted for [{parts}]"
    return None


CONTROLS: tuple[Callable[[Outcome], str | None], ...] = (
    shares_sum_to_allocations,
    shares_add_up,
    refunds_are_held_credit,
    entries_balance,
    received_is_accounted_for,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """The ledger's side of the bank account beside what is known item by item, for one account and currency.

    `closing` is the newest statement's, `unexplained` the sum of the gaps in the chain of statements before it; both
    None before the first statement. `posted` and `items` are what stands in receipts_in_transit, payouts_in_transit
    and suspense, by (account, currency): as balances, and counted line by line.
    """

    currency: str
    client_bank: int
    closing: int | None
    unexplained: int
    posted: Mapping[tuple[str, str], int]
    items: Mapping[tuple[str, str], int]


def check_custody(custody: Custody) -> None:
    """Prove both directions of the custody of money: the bank's balance is ours, and every difference has a name.

    Raises Broken: naming the first that does not hold and by how much.
    """
    for control in CUSTODY_CONTROLS:
        problem = control(custody)
        if problem:
            raise Broken(control.__name__, problem)


def ledger_bank_is_statement_closing(custody: Custody) -> str | None:
    """The ledger's client_bank is the newest statement's closing balance, to the unit, but for gaps in the chain."""
    if custody.closing is None or custody.client_bank + custody.unexplained == custody.closing:
        return None
    return (
        f"client_bank stands at [{custody.client_bank} {custody.currency}], the newest statement closes at"
        f" [{custody.closing}], and gaps between statements explain [{custody.unexplained}]"
    )


def receipts_in_transit_are_explained(custody: Custody) -> str | None:
    """What stands in receipts_in_transit is the receipts that one side has shown and the other has not, one by one."""
    return _explained(custody, RECEIPTS_IN_TRANSIT.name)


def payouts_in_transit_are_explained(custody: Custody) -> str | None:
    """What stands in payouts_in_transit is the payouts that have left us and not the bank, or not come back to it."""
    return _explained(custody, PAYOUTS_IN_TRANSIT.name)


def suspense_is_explained(custody: Custody) -> str | None:
    """What stands in suspense is the lines that match nothing, one by one."""
    return _explained(custody, SUSPENSE.name)


CUSTODY_CONTROLS: tuple[Callable[[Custody], str | None], ...] = (
    ledger_bank_is_statement_closing,
    receipts_in_transit_are_explained,
    payouts_in_transit_are_explained,
    suspense_is_explained,
)


Movements = Mapping[str, Mapping[str, int]]
"""By side and currency ("bank KRW"): what it had (opening), what came, what went, and what it has (closing)."""

NOTHING: Mapping[str, int] = {"opening": 0, "came": 0, "went": 0, "closing": 0}


def check_movements(movements: Movements) -> None:
    """Prove what a certificate says of a day: every side adds up, and the ledger moved as the bank did.

    Raises Broken: naming the first that does not hold and by how much.
    """
    for control in MOVEMENT_CONTROLS:
        problem = control(movements)
        if problem:
            raise Broken(control.__name__, problem)


def movements_make_the_closing(movements: Movements) -> str | None:
    """What a side had and what came, less what went, is what it has."""
    for side, moved in movements.items():
        if moved["opening"] + moved["came"] - moved["went"] != moved["closing"]:
            return f"[{side}] does not add up: {dict(moved)}"
    return None


def ledger_moves_as_the_bank(movements: Movements) -> str | None:
    """The ledger's client_bank had, got, gave and has what the bank says; a side that is not there has nothing."""
    for currency in dict.fromkeys(side.split(" ")[1] for side in movements):
        bank, ledger = (dict(movements.get(f"{side} {currency}", NOTHING)) for side in ("bank", "ledger"))
        if bank != ledger:
            return f"[bank {currency}] says {bank}, the ledger {ledger}"
    return None


MOVEMENT_CONTROLS: tuple[Callable[[Movements], str | None], ...] = (
    movements_make_the_closing,
    ledger_moves_as_the_bank,
)


def _explained(custody: Custody, account: str) -> str | None:
    for key in sorted({*custody.posted, *custody.items}):
        posted, items = custody.posted.get(key, 0), custody.items.get(key, 0)
        if key[0] == account and posted != items:
            return f"[{account}] stands at [{posted} {key[1]}], its items come to [{items}]"
    return None


def _first(numbers: "pd.Series[int]") -> int:
    """Return the first number of a part: parts of a day are numbered on."""
    return int(numbers.iloc[0]) if len(numbers) else 1


def _strays(places: np.ndarray, length: int) -> np.ndarray:
    """Return the rows whose place is outside of their whole, where numpy would count from its end, or fail."""
    return np.flatnonzero((places < 0) | (places >= length))


def _sums(places: np.ndarray, amounts: np.ndarray, length: int) -> np.ndarray:
    """Return the exact int64 sums of amounts by place (bincount would go through floats)."""
    sums = np.zeros(length, dtype=np.int64)
    np.add.at(sums, places, amounts)
    return sums
