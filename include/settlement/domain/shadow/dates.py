"""What a former system paid on another date: to the same investors of a loan, to the unit."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.shadow.causes import AMOUNTS, LOAN, Cause

MOVABLE = (Cause.RECEIPT_THEY_LACK, Cause.RECEIPT_WE_LACK, Cause.UNEXPLAINED)
GROUP = ["settlement_date", *LOAN, "cause", "detail"]


def other_dates(parts: pd.DataFrame, given: Collection[str]) -> pd.DataFrame:
    """Return parts of differences, of which those that another date makes up for are `Cause.OTHER_DATE`.

    `parts` are as frame `DIFFERENCES`. What is paid of a loan on one date, and is missing for the same investors by the
    same amounts on another, is paid on that: the nearest one, which the detail then names. A difference that has no
    cause yet is looked at whole, all investors of a loan on a date.
    """
    movable = parts[parts["cause"].isin([cause.value for cause in MOVABLE])]
    names = [name for name in AMOUNTS if name in given]
    by_vector: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    vectors: dict[tuple[Any, ...], frozenset[tuple[Any, ...]]] = {}
    groups: Iterable[tuple[Any, pd.DataFrame]] = movable.groupby(GROUP, sort=True, observed=True)
    for group, rows in groups:
        vectors[group] = _vector(rows, names)
        by_vector[group[1], group[2], vectors[group]].append(group)
    other: dict[tuple[Any, ...], str] = {}
    for group, vector in vectors.items():
        if group in other:
            continue
        negated = frozenset((investor, *(-amount for amount in amounts)) for investor, *amounts in vector)
        free = [
            found
            for found in by_vector.get((group[1], group[2], negated), [])
            if found not in other and found[0] != group[0]
        ]
        if free:
            nearest = min(free, key=lambda found: (abs(found[0] - group[0]), found[0]))
            other[group], other[nearest] = (f"{at[0].date().isoformat()}" for at in (nearest, group))
    if not other:
        return parts
    places = pd.MultiIndex.from_frame(parts[GROUP])
    detail = [other.get(tuple(place)) for place in places]
    is_other = pd.Series([at is not None for at in detail], index=parts.index)
    return parts.assign(
        cause=parts["cause"].where(~is_other, Cause.OTHER_DATE.value),
        detail=parts["detail"].where(~is_other, pd.Series(detail, index=parts.index, dtype="str")),
    )


def _vector(rows: pd.DataFrame, names: list[str]) -> frozenset[tuple[Any, ...]]:
    return frozenset(frames.rows(rows, "investor_id", *names))
