"""What a former system took otherwise from the same shares: fees, taxes, and the rounding of each share.

A difference that rounding can make is rounding, unless another rate makes it too: one that is found where rounding
cannot be it, there at least twice and in at least half of the cases. So a rate that differs is one cause on large
shares and on small ones alike.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from settlement.domain import money
from settlement.domain.money import MILLION, Flags, Ints
from settlement.domain.shadow import causes
from settlement.domain.shadow.amounts import LOCAL, NATIONAL, TAX
from settlement.domain.shadow.causes import AMOUNTS, KEY, Cause

ROUND = (100_000, 50_000, 10_000, 5_000, 1_000, 500, 100, 50, 10, 5, 1)
"""A rate is taken for the roundest that it can be: a multiple of the first of these, in ppm."""

ROUND_ENOUGH = 1_000
"""A single row has another rate only if that is a multiple of this: any odd amount has some rate."""

MOST_RATES = 3
"""So many rates of one kind are looked for."""

FEES, TAXES = ("fee_amount", "vat_amount"), (NATIONAL, LOCAL, TAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Parts of differences that were named, with the settlement date of each, and what is left of them."""

    parts: pd.DataFrame
    left: pd.DataFrame


def named(left: pd.DataFrame, given: Collection[str]) -> Named:
    """Return what of differences is a fee, a tax or rounding, and what is left.

    Each row of `left` has a settlement date, the key, the amounts of its difference, our own amounts as `our_…`, and
    what `rules.bounds` says of its shares together. A row of which nobody knows why the gross amount differs, or which
    does not add up in the net amount where the gross one is not known, is left as it is.
    """
    of = _Amounts(left, given)
    is_open = of.is_same_money()
    fee, fee_rate = _fees(left, of, is_open)
    tax, tax_rate = _taxes(left, of, is_open)
    gross = np.where(is_open, of.difference("gross_amount"), 0)
    parts = [
        _part(left, of, {name: fee[name] for name in FEES}, _causes(of, FEES, fee_rate, Cause.FEE), fee_rate),
        _part(left, of, {name: tax[name] for name in TAXES}, _causes(of, TAXES, tax_rate, Cause.TAX), tax_rate),
        _part(left, of, {"gross_amount": gross}, np.full(len(left), Cause.ROUNDING.value, dtype=object), None),
    ]
    rest = left[[*AMOUNTS]].to_numpy() - sum(part[[*AMOUNTS]].to_numpy() for part in parts)
    hidden = _hidden(left.assign(**dict(zip(AMOUNTS, rest.T, strict=True))), given)
    found = pd.concat([*parts, hidden], ignore_index=True)
    found = found[(found[AMOUNTS] != 0).any(axis=1)]
    keys = ["settlement_date", *KEY]
    found = found.groupby([*keys, "cause", "detail"], sort=True, observed=True)[AMOUNTS].sum().reset_index()
    negated = found.assign(**{name: -found[name] for name in AMOUNTS})
    sums = (
        pd.concat([left[[*keys, *AMOUNTS]], negated[[*keys, *AMOUNTS]]]).groupby(keys, sort=True, observed=True).sum()
    )
    sums = sums[(sums != 0).any(axis=1)].reset_index()
    return Named(parts=found, left=sums)


class _Amounts:
    """The differences of rows, and the amounts of either side, by name."""

    def __init__(self, left: pd.DataFrame, given: Collection[str]) -> None:
        self.given = frozenset(given)
        self._left = left

    def difference(self, name: str) -> Ints:
        """What they have more, 0 where they do not say it."""
        return self.column(name) if name in self.given else np.zeros(len(self._left), dtype=np.int64)

    def ours(self, name: str) -> Ints:
        """What we have."""
        return self.column(f"our_{name}")

    def theirs(self, name: str) -> Ints:
        """What they have."""
        return self.ours(name) + self.difference(name)

    def column(self, name: str) -> Ints:
        """Any column of the rows."""
        return np.asarray(self._left[name].to_numpy(), dtype=np.int64)

    def tax(self) -> Ints:
        """What they withheld more, in both taxes as far as they say it."""
        if TAX in self.given:
            return self.difference(TAX)
        return self.difference(NATIONAL) + self.difference(LOCAL)

    def gross_units(self) -> Ints:
        """How much the rounding of shares may move them: nothing where the gross amounts are the same."""
        is_rounded = self.difference("gross_amount") != 0
        return np.where(is_rounded, self.column("shares"), 0)

    def is_same_money(self) -> Flags:
        """Tell which rows are of the same shares: their gross amounts differ by the rounding of each share at most."""
        if "gross_amount" in self.given:
            is_near = np.abs(self.difference("gross_amount")) <= self.column("shares")
            return np.asarray(is_near & (self.column("shares") > 0), dtype=np.bool_)
        taken = self.difference("fee_amount") + self.difference("vat_amount") + self.tax()
        adds_up = self.difference("net_amount") + taken == 0 if "net_amount" in self.given else True
        return np.asarray(adds_up & (self.column("shares") > 0), dtype=np.bool_)

    def is_rounding(self, names: Collection[str]) -> Flags:
        """Tell of which rows rounding alone may make the differences in these amounts."""
        found = np.ones(len(self._left), dtype=np.bool_)
        units = self.gross_units()
        for name in names:
            if name in self.given:
                by = units * (self.column("unit") if name in TAXES else 1) * (2 if name == TAX else 1)
                low, high, theirs = self.column(f"low_{name}") - by, self.column(f"high_{name}") + by, self.theirs(name)
                found &= (low <= theirs) & (theirs <= high)
        return found


Taken = Mapping[str, Ints]


def _fees(left: pd.DataFrame, of: _Amounts, is_open: Flags) -> tuple[Taken, np.ndarray]:
    """Return the differences in fees and VAT, and the other rate of each row, as far as there is one."""
    taken = {name: np.where(is_open, of.difference(name), 0) for name in FEES}
    name = next((name for name in FEES if name in of.given), None)
    if name != "fee_amount":
        return taken, np.full(len(left), "", dtype=object)
    group = left["currency"].to_numpy(dtype=object)
    slack = np.maximum(of.column("charged"), 1)
    is_it = (taken["fee_amount"] != 0) & ~of.is_rounding(FEES)
    return taken, _other_rates(
        base=of.column("charged_gross"), theirs=of.theirs("fee_amount"), slack=slack, unit=np.ones_like(slack),
        group=group, is_seed=is_it, is_asked=taken["fee_amount"] != 0,
    )  # fmt: skip


def _taxes(left: pd.DataFrame, of: _Amounts, is_open: Flags) -> tuple[Taken, np.ndarray]:
    """Return the differences in taxes, and the other rate of each row, as far as there is one: of national tax."""
    taken = {name: np.where(is_open, of.difference(name), 0) for name in TAXES}
    if NATIONAL not in of.given:
        return taken, np.full(len(left), "", dtype=object)
    group = (left["currency"].astype("str") + " " + left["tax_ppm"].astype("str")).to_numpy(dtype=object)
    unit = of.column("unit")
    is_it = (taken[NATIONAL] != 0) & ~of.is_rounding(TAXES)
    return taken, _other_rates(
        base=of.column("taxed_gross"), theirs=of.theirs(NATIONAL), slack=np.maximum(of.column("taxed"), 1) * unit,
        unit=unit, group=group, is_seed=is_it, is_asked=taken[NATIONAL] != 0,
    )  # fmt: skip


def _other_rates(
    *, base: Ints, theirs: Ints, slack: Ints, unit: Ints, group: np.ndarray, is_seed: Flags, is_asked: Flags
) -> np.ndarray:
    """Return the rate of each row that is asked for and has one of the other rates of its group, as text; or nothing.

    `base` is what the rate is of, `slack` by how much rounding all shares of a row down may lessen what is taken.
    """
    found = np.full(len(base), "", dtype=object)
    size, taken = np.abs(base), np.where(base < 0, -theirs, theirs)
    for name in sorted({*group[is_seed]}):
        in_group, seeds = group == name, is_seed & (group == name)
        rest, rates = seeds.copy(), 0
        while rest.any() and rates < MOST_RATES:
            largest = int(np.flatnonzero(rest)[np.argmax(size[rest])])
            rate = _roundest(int(size[largest]), int(taken[largest]), int(slack[largest]))
            is_it = np.zeros(len(base), dtype=np.bool_) if rate is None else _has(rate, size, taken, slack, unit)
            supported = seeds & is_it
            if rate is not None and supported.sum() >= 2 and 2 * supported.sum() >= rest.sum():
                found[in_group & is_asked & is_it & (found == "")] = f"{rate} ppm"
                rates += 1
            elif rate is not None and rate % ROUND_ENOUGH == 0:
                found[largest] = f"{rate} ppm"
            rest &= ~is_it
            rest[largest] = False
    return found


def _has(rate: int, size: Ints, taken: Ints, slack: Ints, unit: Ints) -> Flags:
    """Tell which rows may have a rate: a single share to the unit, several as far as they may be rounded down."""
    expected = money.floor_ppm(size, rate)
    is_within = (taken <= expected) & (expected - taken < slack)
    return np.asarray(np.where(slack <= unit, taken == money.truncate(expected, unit), is_within), dtype=np.bool_)


def _roundest(size: int, taken: int, slack: int) -> int | None:
    """Return the roundest rate by which so much is taken, in ppm, or None where no rate from 0 to a million does it."""
    if size <= 0 or taken < 0 or taken > size:
        return None
    if taken == 0:
        return 0
    least, most = -(-taken * MILLION // size), ((taken + slack) * MILLION - 1) // size
    for unit in ROUND:
        rate = -(-least // unit) * unit
        if rate <= min(most, MILLION):
            return rate
    return None


def _causes(of: _Amounts, names: Collection[str], rate: np.ndarray, cause: Cause) -> np.ndarray:
    """Return the cause of each row's differences in some amounts: the one that is meant, or rounding."""
    is_rounding = of.is_rounding(names) & (rate == "")
    return np.where(is_rounding, Cause.ROUNDING.value, cause.value).astype(object)


def _part(left: pd.DataFrame, of: _Amounts, taken: Taken, cause: np.ndarray, rate: np.ndarray | None) -> pd.DataFrame:
    """Return rows of differences in some amounts, and in the net amount what follows from them."""
    if "gross_amount" in taken:
        net = taken["gross_amount"]
    elif TAX in taken:
        net = -(taken[TAX] if TAX in of.given else taken[NATIONAL] + taken[LOCAL])
    else:
        net = -(taken["fee_amount"] + taken["vat_amount"])
    whole = {name: np.zeros(len(left), dtype=np.int64) for name in AMOUNTS} | dict(taken)
    whole["net_amount"] = net if "net_amount" in of.given else np.zeros(len(left), dtype=np.int64)
    detail = np.full(len(left), "", dtype=object) if rate is None else np.where(cause == Cause.ROUNDING.value, "", rate)
    named = causes.parts(left.assign(**whole), cause, detail)
    return named.assign(settlement_date=left["settlement_date"].to_numpy())


def _hidden(left: pd.DataFrame, given: Collection[str]) -> pd.DataFrame:
    """Return what deductions that they do not give explain of the net amounts: rounding, or one not taken at all."""
    of = _Amounts(left, given)
    net = of.column("net_amount")
    others = left[[name for name in AMOUNTS if name != "net_amount"]].to_numpy()
    unsaid = [name for name in (*FEES, NATIONAL, LOCAL) if name not in of.given]
    if TAX in of.given:
        unsaid = [name for name in unsaid if name not in (NATIONAL, LOCAL)]
    is_asked = (net != 0) & (others == 0).all(axis=1) & (of.column("shares") > 0)
    if not unsaid or "net_amount" not in of.given:
        is_asked &= False
    units = np.zeros(len(left), dtype=np.int64) if "gross_amount" in of.given else of.column("shares")
    most = sum((of.ours(name) - of.column(f"low_{name}") for name in unsaid), units)
    least = sum((of.ours(name) - of.column(f"high_{name}") for name in unsaid), -units)
    is_rounding = (least <= net) & (net <= most)
    not_taken = {
        Cause.FEE: [of.ours("fee_amount") + of.ours("vat_amount")] * ("fee_amount" in unsaid)
        + [of.ours("vat_amount")] * ("vat_amount" in unsaid),
        Cause.TAX: [of.ours(NATIONAL) + of.ours(LOCAL)] * (NATIONAL in unsaid) + [of.ours(LOCAL)] * (LOCAL in unsaid),
    }
    fits = {
        cause: np.any([np.asarray(net == amount) for amount in amounts], axis=0)
        if amounts
        else np.zeros(len(left), dtype=np.bool_)
        for cause, amounts in not_taken.items()
    }
    is_fee, is_tax = fits[Cause.FEE] & ~fits[Cause.TAX], fits[Cause.TAX] & ~fits[Cause.FEE]
    cause = np.select([is_rounding, is_fee, is_tax], [Cause.ROUNDING, Cause.FEE, Cause.TAX], "").astype(object)
    chosen = left[is_asked & (cause != "")]
    found = causes.parts(chosen, cause[is_asked & (cause != "")], np.full(len(chosen), "", dtype=object))
    return found.assign(settlement_date=chosen["settlement_date"].to_numpy())
