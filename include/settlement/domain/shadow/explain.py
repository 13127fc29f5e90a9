"""A former system's payments held against ours: every difference named, or said to be unexplained.

What comes in, date by date: what each side paid of each loan to each investor, our shares of the loans that differ, and
these loans as they stood before the date. The steps:

1. `receipts`: money of receipts that one side lacks.
2. `holders`: shares that they gave to somebody else.
3. `dates`: what one side paid on another date, once all dates of the period are there.
4. `deductions`: on what is the same money then, other fees, other taxes, other rounding.

What always holds: the parts of a date, a loan and an investor are their difference, in every amount that is given;
where nothing differs there are none. What no cause fits stands as `Cause.UNEXPLAINED`.

Where the rules leave room, this is chosen:

- A cause is named where it makes up for all investors of a receipt or a loan, to the unit; never in part.
- The gross amount says whose money it is; where they do not give it, the net amount does.
- An investor's tax class is what the source says now: a former one shows as `Cause.TAX`.
- A receipt that they settled and we lack is told by its proportions; their fees and taxes of it are not looked at.
"""

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from settlement.domain import frames
from settlement.domain.frames import Inputs
from settlement.domain.policy import Policy
from settlement.domain.shadow import amounts, causes, dates, deductions, holders, receipts, rules
from settlement.domain.shadow.causes import AMOUNTS, KEY, Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a date whose payments differ.

    `shares` are ours of the loans that differ (frame `SHADOW_SHARES`), `inputs` these loans as they stood before the
    date, `came_on` the dates in the policy's zone on which its money may have come, newest first, and `kept_back` the
    loans whose money we keep back.
    """

    settlement_date: date
    shares: pd.DataFrame
    inputs: Inputs
    came_on: Sequence[date]
    kept_back: Set[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What a date's differences came to so far: the parts that have a cause, and what is left.

    `left` has a column for each amount of the difference, `our_…` for ours, and those of `rules.bounds`.
    """

    settlement_date: date
    parts: pd.DataFrame
    left: pd.DataFrame


def of_day(differences: pd.DataFrame, seen: Seen, policy: Policy, given: Collection[str]) -> Day:
    """Return what of a date's differences is somebody else's money, and what is left, with what its shares allow."""
    on, lead = seen.settlement_date, amounts.lead(given)
    lacking, shares = receipts.they_lack(differences, seen.shares, lead)
    left = causes.less(differences, _said(lacking, given))
    not_ours = receipts.we_lack(
        left, seen.shares, seen.inputs, lead, dates=[*seen.came_on], kept_back={*seen.kept_back}
    )
    left = causes.less(left, not_ours)
    moved, shares = holders.moved(left, shares, seen.inputs, policy, on, lead, zone=policy.timezone)
    left = causes.less(left, _said(moved, given))
    parts = pd.concat([_said(lacking, given), not_ours, _said(moved, given)], ignore_index=True)
    of_left = shares[causes.is_among(shares, left[KEY])]
    bounds = rules.bounds(of_left, rules.taxation(of_left, seen.inputs, policy, on), policy, on)
    summed = rules.adding_up(list(bounds.columns))
    keyed = pd.concat(
        [of_left[KEY], of_left[AMOUNTS].rename(columns=lambda name: f"our_{name}"), bounds], axis=1
    ).groupby(KEY, sort=True, observed=True)
    our = [f"our_{name}" for name in AMOUNTS]
    sums, most = keyed[[*our, *summed]].sum(), keyed[["tax_ppm", "unit"]].max()
    found = sums.join(most).reindex(pd.MultiIndex.from_frame(left[KEY]), fill_value=0)
    left = pd.concat([left, found.reset_index(drop=True)], axis=1)
    return Day(settlement_date=on, parts=_dated(parts, on), left=_dated(left, on))


def of_period(days: Sequence[Day], given: Collection[str]) -> pd.DataFrame:
    """Return every difference of the dates by cause, frame `DIFFERENCES`, in order of its key."""
    keys = ["settlement_date", *KEY]
    if not days:
        return frames.build(frames.DIFFERENCES)
    left = pd.concat([day.left for day in days], ignore_index=True)
    parts = pd.concat([day.parts for day in days], ignore_index=True)
    is_strange = _is_strange(left, amounts.lead(given))
    strange = left.loc[is_strange, [*keys, *AMOUNTS]].assign(cause=Cause.UNEXPLAINED.value, detail="")
    dated = dates.other_dates(pd.concat([parts, strange], ignore_index=True), given)
    is_open = dated["cause"] == Cause.UNEXPLAINED.value
    still = pd.MultiIndex.from_frame(dated.loc[is_open, keys])
    open_ = left[~is_strange | pd.MultiIndex.from_frame(left[keys]).isin(still)].reset_index(drop=True)
    named = deductions.named(open_, given)
    rest = named.left.assign(cause=Cause.UNEXPLAINED.value, detail="")
    found = pd.concat([dated[~is_open], named.parts, rest], ignore_index=True)
    of = frames.DIFFERENCES
    found = found.groupby(list(of.key), sort=True, observed=True)[AMOUNTS].sum().reset_index()
    found = found[(found[AMOUNTS] != 0).any(axis=1)]
    return frames.of_columns(of, {name: found[name] for name in of.column_names})


def _is_strange(left: pd.DataFrame, lead: str) -> np.ndarray:
    """Tell which rows are of other money than ours: the leading amount differs by more than rounding can make."""
    if lead == "gross_amount":
        return np.asarray(np.abs(left[lead].to_numpy()) > left["shares"].to_numpy())
    return np.asarray((left["shares"].to_numpy() == 0) | (left[lead].to_numpy() == -left[f"our_{lead}"].to_numpy()))


def _said(parts: pd.DataFrame, given: Collection[str]) -> pd.DataFrame:
    """Return parts of our amounts without those that they do not give, which nobody compares."""
    return parts.assign(**{name: np.int64(0) for name in AMOUNTS if name not in given})


def _dated(rows: pd.DataFrame, on: date) -> pd.DataFrame:
    return rows.assign(settlement_date=np.full(len(rows), np.datetime64(on, "s")))
