"""What was paid so far on the notes of loans: sums before, what moves, and sums after."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from settlement.domain.computation import positions
from settlement.domain.computation.positions import Sums

NOTES = pa.array(["A", "B", "C", "D"], pa.large_string())


def sums(*rows: tuple[int, str, int]) -> Sums:
    loan, ids, amount = zip(*rows, strict=True) if rows else ((), (), ())
    return Sums(
        loan=np.array(loan, dtype=np.int64),
        ids=pa.array(ids, pa.large_string()),
        amount=np.array(amount, dtype=np.int64),
    )


def after(before: Sums, *moved: tuple[int, int, int]) -> list[tuple[int, str, int]]:
    loan, place, amount = np.array(moved, dtype=np.int64).reshape(-1, 3).T
    found = positions.after(before, loan=loan, place=place, ids=NOTES, amount=amount)
    return list(zip(found.loan.tolist(), found.ids.to_pylist(), found.amount.tolist(), strict=True))


@pytest.mark.parametrize(
    ("before", "moved", "expected"),
    [
        ([], [(0, 0, 5), (0, 1, 7), (1, 2, 9)], [(0, "A", 5), (0, "B", 7), (1, "C", 9)]),
        ([], [(1, 2, 9), (0, 1, 7), (0, 0, 5), (0, 1, 1)], [(0, "A", 5), (0, "B", 8), (1, "C", 9)]),
        ([(0, "B", 10)], [(0, 0, 5), (0, 1, 7)], [(0, "B", 17), (0, "A", 5)]),
        ([(0, "Z", 10), (1, "C", 1)], [(0, 0, 5)], [(0, "Z", 10), (0, "A", 5), (1, "C", 1)]),
        ([(0, "A", 5), (0, "B", 7)], [(0, 0, -5)], [(0, "B", 7)]),
        ([(0, "A", 5)], [(1, 0, 6)], [(0, "A", 5), (1, "A", 6)]),
        ([(0, "A", 2**61)], [(0, 0, 2**61)], [(0, "A", 2**62)]),
        ([(0, "A", 5)], [], [(0, "A", 5)]),
        ([], [], []),
    ],
    ids=[
        "what moves first stands alone",
        "the order of what moves says nothing",
        "a note that moved before goes on from there",
        "what the source shows no longer stands as it stood",
        "what is reversed stands no more",
        "a note of two loans stands with each",
        "sums are exact beyond what a float could tell",
        "a run that moves nothing leaves all as it was",
        "nothing comes of nothing",
    ],
)
def test_positions_after_a_run_are_those_before_it_and_what_it_moved(
    before: list[tuple[int, str, int]], moved: list[tuple[int, int, int]], expected: list[tuple[int, str, int]]
) -> None:
    assert after(sums(*before), *moved) == expected
