"""What a former system says that it paid, and how that differs from what we would have paid.

It may give all seven amounts or one of them: `gross - fee - vat - tax = net`, and tax is national and local together.
What follows from those that it gives is given too; what does not is 0 on both sides and compared by nobody.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from settlement.domain import frames
from settlement.domain.errors import InvalidFrame
from settlement.domain.shadow.causes import AMOUNTS, KEY

NATIONAL, LOCAL, TAX = "national_tax_amount", "local_tax_amount", "tax_amount"
SIGNS: Mapping[str, int] = {"gross_amount": 1, "fee_amount": -1, "vat_amount": -1, TAX: -1, "net_amount": -1}
"""How the five amounts add up to 0."""

LEADS = ("gross_amount", "net_amount", "fee_amount", TAX, NATIONAL, "vat_amount", LOCAL)
"""Which amount tells who got whose money: the first of these that is given."""


def complete(rows: pd.DataFrame, given: Collection[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return rows with all seven amounts, and which of them are given or follow from what is, in order.

    `given` is as `given_by` says it.
    """
    known = {*given}
    amounts = {
        name: rows[name].to_numpy() if name in known else np.zeros(len(rows), dtype=np.int64) for name in AMOUNTS
    }
    if known >= {NATIONAL, LOCAL}:
        amounts[TAX], known = amounts[NATIONAL] + amounts[LOCAL], known | {TAX}
    missing = SIGNS.keys() - known
    if len(missing) == 1:
        (name,) = missing
        rest = np.sum([SIGNS[other] * amounts[other] for other in SIGNS.keys() - missing], axis=0)
        amounts[name], known = -SIGNS[name] * rest, known | missing
    for one, other in ((NATIONAL, LOCAL), (LOCAL, NATIONAL)):
        if TAX in known and one in known and other not in known:
            amounts[other], known = amounts[TAX] - amounts[one], known | {other}
    return rows[KEY].assign(**amounts), tuple(name for name in AMOUNTS if name in known)


def added_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of key and amounts as frame `PAID`: those of one key are one, in order of the key."""
    table = pa.table({name: pa.array(rows[name]) for name in [*KEY, *AMOUNTS]})
    sums = (
        table.group_by(KEY)
        .aggregate([(name, "sum") for name in AMOUNTS])
        .sort_by([(name, "ascending") for name in KEY])
    )
    return frames.of_columns(
        frames.PAID,
        {name: sums[name].to_pandas() for name in KEY} | {name: sums[f"{name}_sum"].to_numpy() for name in AMOUNTS},
    )


def differences(ours: pd.DataFrame, theirs: pd.DataFrame, given: Collection[str]) -> pd.DataFrame:
    """Return what they paid more than we: frame `PAID`, the rows in which a given amount differs, others 0.

    Both are rows of key and amounts; who has no row got nothing.
    """
    kept = {name: name in given for name in AMOUNTS}
    negated = ours.assign(**{name: -ours[name] for name in AMOUNTS})
    rows = pd.concat([theirs[[*KEY, *AMOUNTS]], negated[[*KEY, *AMOUNTS]]], ignore_index=True)
    found = added_up(rows.assign(**{name: np.int64(0) for name in AMOUNTS if not kept[name]}))
    differing: pd.DataFrame = found[(found[AMOUNTS] != 0).any(axis=1)]
    return differing.reset_index(drop=True)


def lead(given: Collection[str]) -> str:
    """Return which amount tells who got whose money."""
    return next(name for name in LEADS if name in given)


def given_by(columns: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the amounts that columns give, in order, and whether there is a currency among them.

    Raises InvalidFrame: a date, a loan or an investor is missing, every amount is, or taxes are given twice.
    """
    if missing := [name for name in ("settlement_date", "loan_id", "investor_id") if name not in columns]:
        raise InvalidFrame(f"it has no column {missing}")
    given = tuple(name for name in AMOUNTS if name in columns)
    if not given:
        raise InvalidFrame(f"it has no amount: give some of {AMOUNTS}")
    if {NATIONAL, LOCAL, TAX} <= {*given}:
        raise InvalidFrame(f"it has [{TAX}] beside the two taxes that it is the sum of: leave one of the three out")
    return given, "currency" in columns


def checked(rows: pd.DataFrame, given: Sequence[str]) -> pd.DataFrame:
    """Return rows as key and the amounts given, the currency empty where there is none.

    Raises InvalidFrame: a value is missing, or an amount is no whole number.
    """
    found = {}
    for name in ("loan_id", "investor_id", *(["currency"] if "currency" in rows.columns else []), *given):
        values = rows[name]
        if values.isna().any():
            raise InvalidFrame(f"[{name}] has no value in [{int(values.isna().sum())}] rows; an amount of nothing is 0")
        if name in given and len(rows) and not pd.api.types.is_integer_dtype(values.dtype):
            raise InvalidFrame(f"[{name}] must hold whole minor units, as int64")
        found[name] = values.astype("int64" if name in given else "str").array
    found.setdefault("currency", pd.array([""] * len(rows), dtype="str"))
    return pd.DataFrame(found)[[*KEY, *given]]
