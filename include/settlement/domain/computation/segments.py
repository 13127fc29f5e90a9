"""Runs: the rows of one loan, allocation or entry that stand together in an array.

The i-th run is `[start[i], start[i + 1])`; `start` always has one element more than there are runs. Sums are int64:
float64, as `np.bincount` has it, would round.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from settlement.domain.money import Ints


def starts(counts: npt.NDArray[Any]) -> Ints:
    """Return where runs of these lengths begin, and where the last one ends."""
    start = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=start[1:])
    return start


def sums(values: npt.NDArray[np.int64], start: Ints) -> Ints:
    """Return the sum of each run; an empty run sums to 0."""
    is_filled = start[1:] > start[:-1]
    if is_filled.all():
        return np.asarray(np.add.reduceat(values, start[:-1]) if len(is_filled) else values[:0], dtype=np.int64)
    total = np.zeros(len(start) - 1, dtype=np.int64)
    if is_filled.any():
        total[is_filled] = np.add.reduceat(values, start[:-1][is_filled])
    return total


def sums_before(values: npt.NDArray[np.int64], start: Ints) -> Ints:
    """Return, for each value, the sum of those before it in its run."""
    until = starts(values)
    before: Ints = until[:-1] - np.repeat(until[start[:-1]], np.diff(start))
    return before


def places(start: Ints, chosen: Ints) -> Ints:
    """Return the places of the chosen runs, one run after the other."""
    first = start[chosen]
    count = start[chosen + 1] - first
    begins = starts(count)
    return np.arange(begins[-1]) + np.repeat(first - begins[:-1], count)
