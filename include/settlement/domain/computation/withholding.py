"""Withholding tax (rules, section 5): which rule covers an interest share, and the national and local tax on it.

Rules are found once for every (loan, tax class): the currency, the disbursement date and the settlement date are the
loan's and the day's. A pair that no rule covers, or more than one, has NO_RULE or TWO_RULES instead.
"""

from dataclasses import dataclass

import numpy as np

from settlement.domain import money
from settlement.domain.computation.encode import FOREVER, EncodedInputs, day_of
from settlement.domain.money import Ints
from settlement.domain.policy import Policy

NO_RULE, TWO_RULES = -1, -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The withholding rules of a day; `rule[loan, tax_class]` is a place in the other four, NO_RULE or TWO_RULES."""

    rule: Ints
    rate_ppm: Ints
    de_minimis: Ints
    unit: Ints
    local_ppm: Ints


def table(encoded: EncodedInputs, policy: Policy) -> Table:
    """Return the withholding rule of every loan and tax class on the day."""
    rule_of = np.full((len(encoded.loan_ids), len(encoded.tax_class_names)), NO_RULE, dtype=np.int64)
    columns: list[tuple[int, int, int, int]] = []
    for currency, withholding in sorted(policy.withholding.items()):
        if currency not in encoded.currency_names:
            continue
        is_in_currency = encoded.currency == encoded.currency_names.index(currency)
        for rule in withholding.rules:
            place = len(columns)
            columns.append((rule.rate_ppm, rule.de_minimis, withholding.unit, withholding.local_ppm))
            settles = (
                day_of(rule.settled_from, -FOREVER) <= encoded.settlement_day <= day_of(rule.settled_until, FOREVER)
            )
            if not settles or rule.tax_class not in encoded.tax_class_names:
                continue
            loans = np.flatnonzero(
                is_in_currency
                & (encoded.disbursed_on >= day_of(rule.disbursed_from, -FOREVER))
                & (encoded.disbursed_on <= day_of(rule.disbursed_until, FOREVER))
            )
            tax_class = encoded.tax_class_names.index(rule.tax_class)
            rule_of[loans, tax_class] = np.where(rule_of[loans, tax_class] == NO_RULE, place, TWO_RULES)
    rate_ppm, de_minimis, unit, local_ppm = np.array(columns, dtype=np.int64).reshape(len(columns), 4).T
    return Table(rule=rule_of, rate_ppm=rate_ppm, de_minimis=de_minimis, unit=unit, local_ppm=local_ppm)


def withhold(
    gross: Ints, *, rate_ppm: Ints | int, de_minimis: Ints | int, unit: Ints | int, local_ppm: Ints | int
) -> tuple[Ints, Ints]:
    """Return the national and the local tax on interest shares of at least 0, computed on the gross share.

    `national = floor(floor(share · rate_ppm / 1e6) / unit) · unit`, 0 below `de_minimis`;
    `local = floor(floor(national · local_ppm / 1e6) / unit) · unit` (Income Tax Act, article 129; National Treasury
    Management Act, article 47).
    """
    national = money.truncate(money.floor_ppm(gross, rate_ppm), unit)
    national = np.where(national < de_minimis, 0, national)
    return national, money.truncate(money.floor_ppm(national, local_ppm), unit)
