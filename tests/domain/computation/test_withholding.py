"""Withholding: the rule by class, disbursement and settlement date; truncation and de minimis."""

from datetime import date

import numpy as np
import pytest
from settlement.domain.computation import withholding

from tests.domain.stories import day, shares


def _taxed(
    tax_class: str, interest: int, *, disbursed_on: str = "2026-01-15", on: date = date(2026, 2, 16)
) -> tuple[int, int]:
    outcome = day(
        on=on,
        loans=[("L1", "KRW", disbursed_on)],
        notes=[("N1", "L1", 100, 100)],
        holdings=[("N1", "A", disbursed_on, None)],
        investors=[("A", tax_class)],
        receivables=[("I1", "L1", 1, "interest", on, interest, 0)],
        repayments=[("R1", "L1", f"{on}T02:00:00Z", interest, None, "new")],
    )
    ((*_, national, local, _),) = shares(outcome)
    return national, local


@pytest.mark.parametrize(
    ("tax_class", "national", "local"),
    [("individual", 1_400, 140), ("corporation", 2_500, 250), ("lender", 0, 0), ("nonresident", 2_000, 200)],
)
def test_each_tax_class_has_its_rate(tax_class: str, national: int, local: int) -> None:
    assert _taxed(tax_class, 10_000) == (national, local)


def test_a_corporations_tax_below_the_de_minimis_is_nothing_and_at_it_is_whole() -> None:
    assert _taxed("corporation", 3_999) == (0, 0)
    assert _taxed("corporation", 4_000) == (1_000, 100)


@pytest.mark.parametrize(
    ("disbursed_on", "settled_on", "national"),
    [
        ("2021-08-26", date(2021, 10, 20), 2_500),
        ("2021-08-26", date(2021, 10, 21), 1_400),
        ("2021-08-27", date(2021, 10, 20), 1_400),
    ],
)
def test_the_rule_is_chosen_by_disbursement_and_settlement_date(
    disbursed_on: str, settled_on: date, national: int
) -> None:
    assert _taxed("individual", 10_000, disbursed_on=disbursed_on, on=settled_on)[0] == national


def test_local_tax_is_of_the_truncated_national_tax_and_truncated_itself() -> None:
    # 14 % of 2 096 = 293.44 → 293 → 290; a tenth of it, 29 → 20.
    assert _taxed("individual", 2_096) == (290, 20)


def test_the_tax_of_a_very_large_share_is_exact() -> None:
    national, local = withholding.withhold(
        np.array([9_007_199_254_740_993]), rate_ppm=140_000, de_minimis=0, unit=10, local_ppm=100_000
    )
    assert (national.tolist(), local.tolist()) == ([1_261_007_895_663_730], [126_100_789_566_370])
