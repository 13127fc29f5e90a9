"""Receipts that one side lacks.

A receipt that we settled and they did not shows as the whole of its shares missing, from every investor of it. One that
they paid and we did not shows as money to every holder of the loan, in proportion to what each holds.
"""

from collections.abc import Iterator
from datetime import date

import numpy as np
import pandas as pd

from settlement.domain import frames
from settlement.domain.frames import Inputs
from settlement.domain.shadow import causes
from settlement.domain.shadow.causes import AMOUNTS, KEY, LOAN, Cause


def they_lack(left: pd.DataFrame, shares: pd.DataFrame, lead: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the parts of receipts of which they paid nothing, each named in its detail, and the shares without them.

    `left` are differences of one date, `shares` frame `SHADOW_SHARES`. All receipts of a loan are missing, or one is.
    """
    of = shares.groupby([*LOAN, "repayment_id", "investor_id"], observed=True)[AMOUNTS].sum().reset_index()
    missing = left.set_index(KEY)[lead]
    whole = of.groupby(KEY, observed=True)[lead].transform("sum").to_numpy()
    found = causes.looked_up(missing, of)
    all_of_loan = _all(of, (found == -whole), whole != 0, LOAN)
    one = of[~causes.is_among(of, all_of_loan)]
    found, amount = causes.looked_up(missing, one), one[lead].to_numpy()
    ones = _all(one, found == -amount, amount != 0, [*LOAN, "repayment_id"]).groupby(LOAN, sort=True).head(1)
    is_missing = causes.is_among(of, all_of_loan) | causes.is_among(of, ones)
    lacking = of[is_missing]
    kept = shares[~causes.is_among(shares, lacking[[*LOAN, "repayment_id"]].drop_duplicates())]
    negated = lacking.assign(**{name: -lacking[name] for name in AMOUNTS})
    return (
        causes.parts(negated, Cause.RECEIPT_THEY_LACK, lacking["repayment_id"].to_numpy(dtype=object)),
        kept.reset_index(drop=True),
    )


def _all(rows: pd.DataFrame, is_so: np.ndarray, is_money: np.ndarray, group: list[str]) -> pd.DataFrame:
    """Return the groups whose every row is so, and of which one is about money, in order."""
    marked = rows[group].assign(is_so=is_so, is_money=is_money)
    found = marked.groupby(group, sort=True, observed=True).agg({"is_so": "all", "is_money": "any"}).reset_index()
    return found.loc[found["is_so"] & found["is_money"], group]


def we_lack(
    left: pd.DataFrame, shares: pd.DataFrame, inputs: Inputs, lead: str, *, dates: list[date], kept_back: set[str]
) -> pd.DataFrame:
    """Return the parts of receipts of which we settled nothing: of loans that have no share of ours on the date.

    `inputs` are the loans as they stood before the date, `dates` those on which the money may have come, newest first.
    A loan whose money we keep back says so in the detail.
    """
    ours = shares[LOAN].drop_duplicates()
    candidates = left[~causes.is_among(left, ours) & (left[lead].to_numpy() != 0)]
    if candidates.empty:
        return causes.none()
    receivables = inputs.receivables[inputs.receivables["component"] != "cost"].groupby("loan_id").size().to_dict()
    holders = _Holders(inputs)
    found = []
    for (loan, currency), rows in candidates.groupby(LOAN, sort=True, observed=True):
        paid = dict(zip(rows["investor_id"], rows[lead].tolist(), strict=True))
        units = int(receivables.get(loan, 0))
        if any(_is_in_proportion(paid, dict(held), units, lead) for held in holders.on(str(loan), dates)):
            found.append((loan, currency))
    if not found:
        return causes.none()
    is_found = causes.is_among(left, pd.DataFrame(found, columns=LOAN, dtype="str"))
    detail = np.where(left["loan_id"].isin(kept_back), "quarantined", "")
    return causes.parts(left[is_found], Cause.RECEIPT_WE_LACK, detail[is_found].astype(object))


class _Holders:
    """Who holds how much of a loan, in how many notes, on a date."""

    def __init__(self, inputs: Inputs) -> None:
        notes = inputs.notes[["note_id", "loan_id", "outstanding"]].merge(inputs.holdings, how="inner", on="note_id")
        self._of_loan = {
            loan: list(frames.rows(rows, "investor_id", "outstanding", "held_from", "held_until_exclusive"))
            for loan, rows in notes.groupby("loan_id", observed=True)
        }

    def on(self, loan: str, dates: list[date]) -> Iterator[dict[str, tuple[int, int]]]:
        """Yield for each date: outstanding principal and number of notes, by investor."""
        for on in dates:
            held: dict[str, tuple[int, int]] = {}
            for investor, outstanding, held_from, until in self._of_loan.get(loan, []):
                if outstanding > 0 and held_from <= on and (until is None or on < until):
                    amount, notes = held.get(investor, (0, 0))
                    held[investor] = (amount + outstanding, notes + 1)
            yield held


def _is_in_proportion(paid: dict[str, int], held: dict[str, tuple[int, int]], units: int, lead: str) -> bool:
    """Tell whether holders, all of them and nobody else, got what a receipt would give each.

    Each receivable that the receipt may have paid rounds each note by less than a unit. Of amounts after deductions,
    which differ by who it is, only their being there is looked at.
    """
    whole, total = sum(amount for amount, _ in held.values()), sum(paid.values())
    if not held or not paid.keys() <= held.keys() or any((amount > 0) != (total > 0) for amount in paid.values()):
        return False
    if lead != "gross_amount":
        return paid.keys() == held.keys()
    return all(
        abs(paid.get(investor, 0) * whole - total * amount) < max(units, 1) * notes * whole
        for investor, (amount, notes) in held.items()
    )
