"""Shares that a former system gave to somebody else: the holder of another date, or another holder altogether.

All investors of a loan together got the same then, and what one has more the others have less. Whose a share is decides
on the tax that is withheld from it, so shares are taxed again in the hands of whom they gave them to.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import combinations

import numpy as np
import pandas as pd

from settlement.domain import frames
from settlement.domain.frames import Inputs
from settlement.domain.policy import Policy
from settlement.domain.shadow import causes, rules
from settlement.domain.shadow.causes import AMOUNTS, KEY, LOAN, Cause

RECORD_DATES = ("received_at", "due_on", "settlement_date")
"""What else may be a record date: when the money came, when it was due, when it was settled."""

MOST_NOTES = 10
"""Of so many notes of an investor every choice is tried; of more only each alone and all together."""

Moved = tuple[pd.DataFrame, pd.DataFrame]


def moved(
    left: pd.DataFrame, shares: pd.DataFrame, inputs: Inputs, policy: Policy, on: date, lead: str, *, zone: str
) -> Moved:
    """Return the parts of shares that they gave to others, and the shares as they gave them.

    `left` are differences of one date, `shares` frame `SHADOW_SHARES`, `inputs` the loans of these.
    """
    found = [causes.none()]
    for rule in RECORD_DATES:
        part, shares = _by_record_date(_zero_sums(left, lead), shares, inputs, policy, on, lead, rule=rule, zone=zone)
        if len(part):
            left = causes.less(left, part)
            found.append(part)
    part, shares = _to_others(_zero_sums(left, lead), shares, inputs, policy, on, lead)
    return pd.concat([*found, part], ignore_index=True), shares


def _zero_sums(left: pd.DataFrame, lead: str) -> pd.DataFrame:
    """Return the differences of loans of whose money somebody got more, and others as much less."""
    of_loan = left.groupby(LOAN, observed=True)[lead]
    is_moved = (of_loan.transform("sum").to_numpy() == 0) & (of_loan.transform("max").to_numpy() > 0)
    found: pd.DataFrame = left[is_moved]
    return found


def _by_record_date(
    left: pd.DataFrame,
    shares: pd.DataFrame,
    inputs: Inputs,
    policy: Policy,
    on: date,
    lead: str,
    *,
    rule: str,
    zone: str,
) -> Moved:
    """Give the shares of sold notes to the holders of another date; of loans that then differ in nothing, it is so."""
    loans = left[LOAN].drop_duplicates()
    sold = inputs.holdings["note_id"][inputs.holdings["note_id"].duplicated()].unique()
    of_sold = shares[shares["note_id"].isin(sold)]
    of_sold = of_sold[causes.is_among(of_sold, loans)]
    if of_sold.empty:
        return causes.none(), shares
    holder = _holders(of_sold, inputs.holdings, _record_dates(of_sold, inputs, on, rule, zone=zone))
    is_given = (holder != "") & (holder != of_sold["investor_id"].to_numpy(dtype=object))
    return _given(left, shares, of_sold[is_given], holder[is_given], inputs, policy, on, lead, Cause.RECORD_DATE, rule)


def _record_dates(shares: pd.DataFrame, inputs: Inputs, on: date, rule: str, *, zone: str) -> np.ndarray:
    """Return the record date of each share by a rule."""
    if rule == "received_at":
        local = shares["received_at"].dt.tz_convert(zone).dt.tz_localize(None)
        return np.asarray(local.to_numpy().astype("datetime64[D]"))
    if rule == "due_on":
        due = inputs.receivables.set_index("receivable_id")["due_on"]
        return np.asarray(due.reindex(shares["receivable_id"]).to_numpy().astype("datetime64[D]"))
    return np.full(len(shares), np.datetime64(on, "D"))


def _holders(shares: pd.DataFrame, holdings: pd.DataFrame, record_dates: np.ndarray) -> np.ndarray:
    """Return who held the note of each share on a date; empty where nobody did, or two."""
    rows = pd.DataFrame(
        {
            "row": np.arange(len(shares)),
            "note_id": shares["note_id"].to_numpy(),
            "at": record_dates.astype("datetime64[s]"),
        }
    )
    pairs = rows.merge(holdings.rename(columns={"investor_id": "holder"}), how="inner", on="note_id")
    until = pairs["held_until_exclusive"]
    pairs = pairs[(pairs["held_from"] <= pairs["at"]) & (until.isna() | (pairs["at"] < until))]
    pairs = pairs[~pairs["row"].duplicated(keep=False)]
    found = np.full(len(shares), "", dtype=object)
    found[pairs["row"].to_numpy()] = pairs["holder"].to_numpy(dtype=object)
    return found


def _given(
    left: pd.DataFrame,
    shares: pd.DataFrame,
    taken: pd.DataFrame,
    holder: np.ndarray,
    inputs: Inputs,
    policy: Policy,
    on: date,
    lead: str,
    cause: Cause,
    detail: str,
) -> Moved:
    """Give shares to others, and keep that for the loans in which the leading amount then differs nowhere."""
    given = taken.assign(investor_id=pd.Series(holder, index=taken.index, dtype="str"))
    taxation = rules.taxation(given, inputs, policy, on)
    given = rules.taxed(given, taxation)
    change = pd.concat([given, taken.assign(**{name: -taken[name] for name in AMOUNTS})])
    change = change[[*KEY, *AMOUNTS]].groupby(KEY, sort=True, observed=True).sum().reset_index()
    rest = causes.less(left, change)
    unsaid = given.loc[taxation.rate_ppm == rules.NO_RATE, LOAN]
    wrong = pd.concat([rest.loc[rest[lead] != 0, LOAN], unsaid]).drop_duplicates()
    part = change[~causes.is_among(change, wrong)]
    kept = given[~causes.is_among(given, wrong)]
    shares = pd.concat([shares.drop(index=kept.index), kept]).sort_index()
    part = part[(part[AMOUNTS] != 0).any(axis=1)]
    return causes.parts(part, cause, detail), shares


def _to_others(left: pd.DataFrame, shares: pd.DataFrame, inputs: Inputs, policy: Policy, on: date, lead: str) -> Moved:
    """Give whole notes, or all notes of one investor, to whoever got as much more."""
    concerned = shares[causes.is_among(shares, left[LOAN].drop_duplicates())]
    of_loan = dict(iter(concerned.groupby(LOAN, observed=True))) if len(concerned) else {}
    places: list[int] = []
    receivers: list[str] = []
    for loan, rows in left.groupby(LOAN, sort=True, observed=True):
        if loan not in of_loan:
            continue
        for (investor, note_id), receiver in _pairs(rows, of_loan[loan], lead):
            is_it = (of_loan[loan]["investor_id"] == investor) & (of_loan[loan]["note_id"] == note_id)
            places += of_loan[loan].index[is_it].tolist()
            receivers += [receiver] * int(is_it.sum())
    if not places:
        return causes.none(), shares
    taken = shares.loc[places]
    known = {*inputs.investors["investor_id"]}
    is_known = np.array([receiver in known for receiver in receivers])
    holder = np.array(receivers, dtype=object)
    part, shares = _given(left, shares, taken[is_known], holder[is_known], inputs, policy, on, lead, Cause.HOLDER, "")
    return part, shares


def _pairs(rows: pd.DataFrame, shares: pd.DataFrame, lead: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield ((investor, note), receiver): which notes of whom they gave to whom, as far as amounts say it."""
    amounts = shares.groupby(["investor_id", "note_id"], sort=True, observed=True)[lead].sum()
    of_investor: dict[str, dict[str, int]] = {}
    for (investor, note_id), amount in zip(amounts.index, amounts.tolist(), strict=True):
        of_investor.setdefault(investor, {})[note_id] = amount
    more = {investor: amount for investor, amount in frames.rows(rows, "investor_id", lead) if amount > 0}
    less = {investor: -amount for investor, amount in frames.rows(rows, "investor_id", lead) if amount < 0}
    for investor, amount in sorted(less.items()):
        notes = of_investor.get(investor, {})
        chosen = _adding_up(notes, amount)
        if chosen is None:
            continue
        receiver = next((name for name, wanted in sorted(more.items()) if wanted == amount), None)
        for note_id in chosen:
            one = receiver or next((name for name, wanted in sorted(more.items()) if wanted == notes[note_id]), None)
            if one is None:
                continue
            more[one] -= notes[note_id]
            yield (investor, note_id), one


def _adding_up(notes: Mapping[str, int], amount: int) -> tuple[str, ...] | None:
    """Return the notes whose amounts add up to one: all, one, or a few of few."""
    if notes and sum(notes.values()) == amount:
        return tuple(notes)
    largest = len(notes) - 1 if len(notes) <= MOST_NOTES else 1
    for count in range(1, largest + 1):
        for chosen in combinations(notes, count):
            if sum(notes[note_id] for note_id in chosen) == amount:
                return chosen
    return None
