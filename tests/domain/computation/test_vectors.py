"""The published vectors: amounts that every engine must give exactly."""

import csv
from pathlib import Path

import numpy as np
import pytest
from settlement.domain.computation import distribution, withholding

VECTORS = Path(__file__).parents[2] / "vectors"


def _rows(name: str) -> list[dict[str, str]]:
    with (VECTORS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(":")]


@pytest.mark.parametrize("row", _rows("prorate.csv"), ids=lambda row: f"{row['amount']} by {row['weights']}")
def test_shares_are_those_of_the_vector(row: dict[str, str]) -> None:
    weights = np.array(_numbers(row["weights"]))
    shares = distribution.prorate(np.array([int(row["amount"])]), weights, np.array([0, len(weights)]))
    assert shares.tolist() == _numbers(row["shares"])


@pytest.mark.parametrize("rate_percent", [14, 25])
@pytest.mark.parametrize("row", _rows("withholding.csv"), ids=lambda row: row["interest"])
def test_taxes_are_those_of_the_vector(row: dict[str, str], rate_percent: int) -> None:
    national, local = withholding.withhold(
        np.array([int(row["interest"])]), rate_ppm=rate_percent * 10_000, de_minimis=0, unit=10, local_ppm=100_000
    )
    assert national.tolist() == [int(row[f"national_{rate_percent}"])]
    assert local.tolist() == [int(row[f"local_{rate_percent}"])]
