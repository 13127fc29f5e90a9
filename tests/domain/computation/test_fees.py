"""Fees and VAT on shares: each rule floored by itself."""

from datetime import date

import numpy as np
from settlement.domain.computation import fees
from settlement.domain.policy import COMPONENTS, Fee

from tests.domain.stories import KR, day, totals, under


def _charged(gross: int, component: str, *rules: Fee) -> tuple[int, int]:
    fee, vat = fees.charge(np.array([gross]), np.array([COMPONENTS.index(component)]), rules)
    return int(fee[0]), int(vat[0])


PLATFORM = Fee(name="platform_fee", on=("interest", "late_interest"), rate_ppm=80_000, vat_ppm=100_000)
SERVICE = Fee(name="service", on=("interest", "principal"), rate_ppm=5_000, vat_ppm=100_000)


def test_the_default_fee_is_eight_percent_of_interest_and_a_tenth_of_that_as_vat() -> None:
    assert _charged(5_000, "interest", PLATFORM) == (400, 40)
    assert _charged(5_000, "late_interest", PLATFORM) == (400, 40)


def test_a_fee_is_charged_only_on_the_components_it_names() -> None:
    assert _charged(5_000, "principal", PLATFORM) == (0, 0)


def test_fee_and_vat_are_floored() -> None:
    # 8 % of 237 is 18.96; VAT is a tenth of the floored 18.
    assert _charged(237, "interest", PLATFORM) == (18, 1)


def test_several_rules_add_up_each_floored_by_itself() -> None:
    # 8 % of 1 999 = 159.92 → 159, VAT 15; 0.5 % of 1 999 = 9.995 → 9, VAT 0. Together floored they would be 169.
    assert _charged(1_999, "interest", PLATFORM, SERVICE) == (168, 15)


def test_no_rule_charges_nothing() -> None:
    assert _charged(1_999, "interest") == (0, 0)


def test_a_fee_that_changes_is_charged_as_it_is_on_the_settlement_date() -> None:
    fee = {"on": ["interest"], "vat_ppm": 100_000}
    rules = under(
        KR,
        fees=[
            fee | {"name": "old", "rate_ppm": 80_000, "settled_until": "2026-02-16"},
            fee | {"name": "new", "rate_ppm": 100_000, "settled_from": "2026-02-19"},
        ],
    )
    until, since = day(rules, on=date(2026, 2, 16)), day(rules, on=date(2026, 2, 19))
    assert (totals(until)["fee"], totals(until)["vat"]) == (800, 80)
    assert (totals(since)["fee"], totals(since)["vat"]) == (1_000, 100)
