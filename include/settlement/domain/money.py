"""Whole minor units: how amounts are cut, and what a broken invariant is.

Amounts are int64 (or arrays of it) and rates are parts per million. Every division floors and says so in its name.
Nothing here, or anywhere in the domain, puts money into a float whose result is not corrected by integers.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MILLION = 1_000_000
LARGEST = 2**62
"""Sums of a day's money and of a loan's principals stay below it, so that no int64 sum can wrap."""


def floor_ppm(amount: Ints, rate_ppm: Ints | int) -> Ints:
    """Return `floor(amount · rate_ppm / 1e6)` for amounts and rates of at least 0, rates of at most a million.

    Exact for every int64 amount: when the product could pass 2^63, whole millions and the rest are taken apart, which
    floors to the same unit because a whole million times a rate is a whole number of millions.
    """
    if amount.size == 0 or int(amount.max()) < 2**63 // MILLION:
        return np.asarray(amount * rate_ppm // MILLION, dtype=np.int64)
    millions, rest = np.divmod(amount, MILLION)
    return np.asarray(millions * rate_ppm + rest * rate_ppm // MILLION, dtype=np.int64)


def truncate(amount: Ints, unit: Ints | int) -> Ints:
    """Return the largest multiple of `unit` that is not above `amount`, for amounts of at least 0."""
    return np.asarray(amount - amount % unit, dtype=np.int64)
