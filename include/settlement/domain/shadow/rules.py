"""What our policy takes from a share: fees and VAT, national and local tax, and between which amounts rounding lies.

A share of ours is rounded down. Whoever rounds shares otherwise, or their sums, by units or by tens as the law lets
them, comes to an amount between the sum of all rounded down (`low`) and the sum of all rounded up (`high`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from settlement.domain import frames, money
from settlement.domain.frames import Inputs
from settlement.domain.money import MILLION, Flags, Ints
from settlement.domain.policy import TAXED_COMPONENTS, Policy
from settlement.domain.shadow.amounts import LOCAL, NATIONAL, TAX

NO_RATE = -1
"""Of a share that no withholding rule covers, or more than one, or whose holder has no tax class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxation:
    """How shares are taxed, one row each: the rates are 0 where nothing is withheld, NO_RATE where nobody can say."""

    rate_ppm: Ints
    de_minimis: Ints
    unit: Ints
    local_ppm: Ints


def taxation(shares: pd.DataFrame, inputs: Inputs, policy: Policy, on: date) -> Taxation:
    """Return how shares, frame `SHADOW_SHARES`, are taxed in the hands of those who have them."""
    tax_class: Mapping[str, str] = dict(frames.rows(inputs.investors, "investor_id", "tax_class"))
    disbursed: Mapping[str, date] = dict(frames.rows(inputs.loans, "loan_id", "disbursed_on"))
    cases = pd.DataFrame(
        {
            "currency": shares["currency"].to_numpy(),
            "tax_class": shares["investor_id"].map(tax_class).to_numpy(),
            "disbursed_on": shares["loan_id"].map(disbursed).to_numpy(),
            "is_taxed": shares["component"].isin(TAXED_COMPONENTS).to_numpy(),
        }
    )
    number, known = pd.MultiIndex.from_frame(cases).factorize()
    rules = [_rule(policy, on, *case) for case in known]
    table = np.array(rules or [(0, 0, 1, 0)], dtype=np.int64)[number if len(number) else []]
    return Taxation(rate_ppm=table[:, 0], de_minimis=table[:, 1], unit=table[:, 2], local_ppm=table[:, 3])


def _rule(
    policy: Policy, on: date, currency: str, tax_class: object, disbursed_on: object, is_taxed: bool
) -> tuple[int, int, int, int]:
    table = policy.withholding.get(currency)
    unit, local_ppm = (table.unit, table.local_ppm) if table else (1, 0)
    if not is_taxed:
        return 0, 0, unit, local_ppm
    if not isinstance(tax_class, str) or not isinstance(disbursed_on, date):
        return NO_RATE, 0, unit, local_ppm
    rules = policy.tax_rules(currency=currency, tax_class=tax_class, disbursed_on=disbursed_on, settlement_date=on)
    if len(rules) != 1:
        return NO_RATE, 0, unit, local_ppm
    return rules[0].rate_ppm, rules[0].de_minimis, unit, local_ppm


def taxed(shares: pd.DataFrame, by: Taxation) -> pd.DataFrame:
    """Return shares with the taxes, and the net amount, that they have by these rules; none may have NO_RATE."""
    national, local, _, _ = _taxes(shares, by)
    tax = national + local
    net = shares["gross_amount"] - shares["fee_amount"] - shares["vat_amount"] - tax
    return shares.assign(national_tax_amount=national, local_tax_amount=local, tax_amount=tax, net_amount=net)


def bounds(shares: pd.DataFrame, by: Taxation, policy: Policy, on: date) -> pd.DataFrame:
    """Return between which amounts rounding lies, one row for each share, and of what they are taken.

    Columns, all int64: `shares` (1), `charged` and `taxed` (how many are), `charged_gross` and `taxed_gross`,
    `tax_ppm` and `unit`, and `low_` and `high_` of each deduction and of the net amount.
    """
    size, sign = _of_sign(shares)
    component = shares["component"].to_numpy()
    fee_low, fee_high, vat_low, vat_high = (np.zeros(len(shares), dtype=np.int64) for _ in range(4))
    is_charged = np.zeros(len(shares), dtype=np.bool_)
    for rule in policy.fees_on(on):
        of_rule = np.isin(component, rule.on)
        is_charged |= of_rule
        low, high = money.floor_ppm(size[of_rule], rule.rate_ppm), _ceiled(size[of_rule], rule.rate_ppm)
        fee_low[of_rule] += low
        fee_high[of_rule] += high
        vat_low[of_rule] += money.floor_ppm(low, rule.vat_ppm)
        vat_high[of_rule] += _ceiled(high, rule.vat_ppm)
    national_low, local_low, national_high, local_high = _taxes(shares, by, signed=False)
    is_taxed = by.rate_ppm > 0
    of = {
        "fee_amount": (fee_low, fee_high),
        "vat_amount": (vat_low, vat_high),
        NATIONAL: (national_low, national_high),
        LOCAL: (local_low, local_high),
        TAX: (national_low + local_low, national_high + local_high),
    }
    found = {
        "shares": np.ones(len(shares), dtype=np.int64),
        "charged": is_charged.astype(np.int64),
        "taxed": is_taxed.astype(np.int64),
        "charged_gross": np.where(is_charged, size, 0) * sign,
        "taxed_gross": np.where(is_taxed, size, 0) * sign,
        "tax_ppm": by.rate_ppm,
        "unit": by.unit,
    }
    for name, (low, high) in of.items():
        found[f"low_{name}"] = np.where(sign > 0, low, -high)
        found[f"high_{name}"] = np.where(sign > 0, high, -low)
    return pd.DataFrame(found, index=shares.index)


def _of_sign(shares: pd.DataFrame) -> tuple[Ints, Ints]:
    """Return the sizes of shares and their signs: what a reversal takes back is rounded as it was given."""
    gross = shares["gross_amount"].to_numpy()
    return np.abs(gross), np.where(gross < 0, -1, 1)


def _taxes(shares: pd.DataFrame, by: Taxation, *, signed: bool = True) -> tuple[Ints, Ints, Ints, Ints]:
    """Return national and local tax rounded down as the rules say, and both rounded up."""
    size, sign = _of_sign(shares)
    rate = np.maximum(by.rate_ppm, 0)
    national = _down(money.floor_ppm(size, rate), by.unit)
    national = _from(national, by.de_minimis)
    local = _down(money.floor_ppm(national, by.local_ppm), by.unit)
    national_high = _from(_up(_ceiled(size, rate), by.unit), by.de_minimis)
    local_high = _up(_ceiled(national_high, by.local_ppm), by.unit)
    if signed:
        national, local = national * sign, local * sign
    return national, local, national_high, local_high


def _ceiled(amount: Ints, rate_ppm: Ints | int) -> Ints:
    """Return `ceil(amount · rate_ppm / 1e6)`, as `money.floor_ppm` does below it."""
    has_rest: Flags = np.asarray(amount % MILLION * rate_ppm % MILLION != 0)
    return money.floor_ppm(amount, rate_ppm) + has_rest.astype(np.int64)


def _down(amount: Ints, unit: Ints) -> Ints:
    return money.truncate(amount, unit)


def _up(amount: Ints, unit: Ints) -> Ints:
    return money.truncate(amount + unit - 1, unit)


def _from(amount: Ints, least: Ints) -> Ints:
    """Return amounts, 0 for those that are too small to be withheld."""
    return np.where(amount < least, 0, amount)


def adding_up(columns: Sequence[str]) -> list[str]:
    """Return the columns of `bounds` that add up over the shares of a key."""
    return [name for name in columns if name not in ("tax_ppm", "unit")]
