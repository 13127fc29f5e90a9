"""Why a former system paid something else than we would have: the causes that arithmetic can name.

A difference is what the former system paid more than we, amount by amount, of one loan to one investor on one date. A
cause takes a part of it; the parts of a difference are the difference, to the unit, whatever is found.
"""

from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from settlement.domain import frames
from settlement.domain.money import Ints

KEY = ["loan_id", "investor_id", "currency"]
LOAN = ["loan_id", "currency"]
AMOUNTS = [column.name for column in frames.PAID_AMOUNTS]


class Cause(StrEnum):
    """What made the two pay differently."""

    RECEIPT_THEY_LACK = "receipt_they_lack"
    """We settled a receipt, or a reversal, on the date of which they paid nothing to anybody."""
    RECEIPT_WE_LACK = "receipt_we_lack"
    """They paid all holders of a loan in proportion on a date on which we had no money of it."""
    OTHER_DATE = "other_date"
    """What one side paid on one date, the other paid to the same investors, to the unit, on another."""
    RECORD_DATE = "record_date"
    """They gave shares of notes that were sold to whoever held them on another date."""
    HOLDER = "holder"
    """They gave all of one investor's shares, or all of one note's, to another investor."""
    FEE = "fee"
    """They charged another fee, or VAT, on the same shares."""
    TAX = "tax"
    """They withheld another tax from the same shares."""
    ROUNDING = "rounding"
    """Each share is rounded another way: nothing differs by more than that can make."""
    UNEXPLAINED = "unexplained"
    """No cause fits."""


def parts(rows: pd.DataFrame, cause: Cause | np.ndarray, detail: Any = "") -> pd.DataFrame:
    """Return rows of key and amounts as parts of differences with a cause: one for all, or one for each."""
    named = rows[[*KEY, *AMOUNTS]].reset_index(drop=True)
    for name, value in (("cause", cause), ("detail", detail)):
        named[name] = pd.Series(value if isinstance(value, np.ndarray) else str(value), index=named.index, dtype="str")
    return named


def none() -> pd.DataFrame:
    """Return no parts."""
    return parts(frames.build(frames.PAID), Cause.UNEXPLAINED)


def less(differences: pd.DataFrame, *taken: pd.DataFrame) -> pd.DataFrame:
    """Return what parts leave of differences: key and amounts, in order of the key, without what is nothing by now."""
    negated = [part.assign(**{name: -part[name] for name in AMOUNTS}) for part in taken]
    return added_up(pd.concat([differences[[*KEY, *AMOUNTS]], *(part[[*KEY, *AMOUNTS]] for part in negated)]))


def added_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of one key as one, in order of the key, without those of which every amount is 0."""
    sums = rows.groupby(KEY, sort=True, observed=True)[AMOUNTS].sum().reset_index()
    kept: pd.DataFrame = sums[(sums[AMOUNTS] != 0).any(axis=1)]
    return kept.reset_index(drop=True)


def looked_up(amounts: "pd.Series[Any]", keys: pd.DataFrame) -> Ints:
    """Return the amount of each key, in the names and order of the index of `amounts`; 0 where there is none."""
    wanted = pd.MultiIndex.from_frame(keys[list(amounts.index.names)])
    return np.asarray(amounts.reindex(wanted, fill_value=0).to_numpy(), dtype=np.int64)


def is_among(keys: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    """Tell of each row of `keys` whether its values in the columns of `wanted` are a row of that."""
    names = list(wanted.columns)
    return pd.MultiIndex.from_frame(keys[names]).isin(pd.MultiIndex.from_frame(wanted))
