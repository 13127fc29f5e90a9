"""Which of several a line is: the one whose day is nearest.

The reference of a virtual account is that of every receipt of its borrower, and a bank may show a receipt twice. What
the lines say does not tell them apart; their days do, counted by the terms. Equally near is told apart by nothing.
"""

from collections.abc import Sequence
from operator import attrgetter

import numpy as np
import pandas as pd

from settlement.domain.bank.matching.model import PAYOUT_KINDS, OpenLine, Subject, Terms

FARTHEST = np.iinfo(np.int64).max


def days_apart(shown: np.ndarray, expected: np.ndarray, terms: Terms) -> np.ndarray:
    """Return how many days of the terms lie between each two dates (`datetime64`); 0 where nothing is expected."""
    firsts, lasts = (dates.astype("datetime64[D]") for dates in (shown, expected))
    codes, pairs = pd.factorize((firsts.astype(np.int64) << 32) + lasts.astype(np.int32))
    places = np.empty(len(pairs), dtype=np.int64)
    places[codes] = np.arange(len(codes))  # of each two dates only once: days are few
    apart = [
        0 if np.isnat(last) else terms.days_apart(first.item(), last.item())
        for first, last in zip(firsts[places], lasts[places], strict=True)
    ]
    return np.array(apart, dtype=np.int64)[codes]


def told_apart(
    lines: np.ndarray, subjects: np.ndarray, *, apart: np.ndarray, shown: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Return which of these pairs of a line and a subject are one another, ascending.

    All arrays have one row per pair: the numbers of `lines` and `subjects`, how many days they are `apart`, the day on
    which the line is `shown`, and where it stands among others (`places`). A pair is taken where the subject is the
    one that is nearest to the line, and the line nearest to the subject. Of equal lines of one day the first is it;
    lines of several days that are equally near are told apart by nothing. What is left is looked at again.
    """
    line, subject = (np.unique(numbers, return_inverse=True)[1] for numbers in (lines, subjects))
    taken: list[np.ndarray] = []
    left = np.arange(len(line))
    while len(left):
        near = left[apart[left] == _least(subject[left], apart[left])]
        days = shown[near].astype(np.int64)
        near = near[_least(subject[near], days) == -_least(subject[near], -days)]
        nearest = left[apart[left] == _least(line[left], apart[left])]
        only = nearest[np.bincount(line[nearest])[line[nearest]] == 1]
        found = np.intersect1d(near, only)
        found = found[places[found] == _least(subject[found], places[found])]
        if not len(found):
            break
        taken.append(found)
        left = left[~np.isin(line[left], line[found]) & ~np.isin(subject[left], subject[found])]
    return np.sort(np.concatenate(taken)) if taken else left[:0]


def _least(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each row the least value of its group."""
    least = np.full(groups.max(initial=-1) + 1, FARTHEST)
    np.minimum.at(least, groups, values)
    return np.asarray(least[groups])


def pairs_told_apart(pairs: Sequence[tuple[OpenLine, Subject]], terms: Terms) -> list[tuple[OpenLine, Subject]]:
    """Return those of these pairs that are one another; of several lines for a payout the first is it."""
    ordered = sorted({line for line, _ in pairs}, key=attrgetter("place"))
    numbers = {line: number for number, line in enumerate(ordered)}
    keys = {subject.key: number for number, (_, subject) in enumerate(pairs)}
    rows = [(numbers[line], keys[subject.key], *_days(line, subject, terms)) for line, subject in pairs]
    at, to, apart, shown = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return [pairs[row] for row in told_apart(at, to, apart=apart, shown=shown, places=at)]


def _days(line: OpenLine, subject: Subject, terms: Terms) -> tuple[int, int]:
    """Return how many days a pair is apart and on which day the line is shown; neither matters of a payout."""
    if subject.kind in PAYOUT_KINDS:
        return 0, 0
    apart = 0 if subject.on is None else terms.days_apart(subject.on, line.booking_date)
    return apart, line.booking_date.toordinal()
