"""Fees (rules, section 4): what the platform charges on a share, each rule floored by itself, and the VAT on it."""

from collections.abc import Sequence

import numpy as np

from settlement.domain import money
from settlement.domain.money import Ints
from settlement.domain.policy import COMPONENTS, Fee


def charge(gross: Ints, component: Ints, rules: Sequence[Fee]) -> tuple[Ints, Ints]:
    """Return the fees and the VAT on shares of at least 0; `component` is a place in `COMPONENTS` for each.

    `fee = floor(share · rate_ppm / 1e6)`, `vat = floor(fee · vat_ppm / 1e6)`; several rules add up.
    """
    fee, vat = np.zeros_like(gross), np.zeros_like(gross)
    for rule in rules:
        is_charged = np.array([name in rule.on for name in COMPONENTS])[component]
        charged = money.floor_ppm(gross[is_charged], rule.rate_ppm)
        fee[is_charged] += charged
        vat[is_charged] += money.floor_ppm(charged, rule.vat_ppm)
    return fee, vat
