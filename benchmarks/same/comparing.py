"""Two lists of rows held against each other, and what differs said so that a person sees it at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

AROUND = 60
"""So many characters of a long text are shown on either side of where it first differs."""


PAIRED = 50
"""So many rows that are gone are held against the new rows most like them; the others are only named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How one thing of the old checkout compares with the same thing of the new one.

    `added` is what only the new one has and may have: a view, a column of a view.
    """

    thing: str
    old: int
    new: int
    differences: list[str]
    added: list[str]


def compare(thing: str, old: Sequence[Row] | None, new: Sequence[Row] | None, *, may_grow: bool = False) -> Compared:
    """Compare the rows of a thing, in any order; a row that occurs twice must occur twice.

    With `may_grow` the new side may have columns, or the whole thing, that the old one has not.
    """
    added: list[str] = []
    if may_grow and old is None:
        return Compared(thing=thing, old=0, new=len(new or []), differences=[], added=[thing])
    if may_grow and old and new:
        added = [f"{thing}.{column}" for column in new[0] if column not in old[0]]
        new = [{column: value for column, value in row.items() if column in old[0]} for row in new]
    left, right = Counter(map(as_text, old or [])), Counter(map(as_text, new or []))
    gone: list[Row] = [json.loads(text) for text in sorted((left - right).elements())]
    come: list[Row] = [json.loads(text) for text in sorted((right - left).elements())]
    differences = []
    if (old is None) != (new is None):
        differences.append(f"only the {'new' if old is None else 'old'} one has it")
    for row in gone[:PAIRED]:
        twin = max(come, key=lambda other: _alike(row, other), default=None)
        if twin is None or not _alike(row, twin):
            differences.append(f"gone: {shown(row)}")
        else:
            come.remove(twin)
            differences.append(_changed(row, twin))
    differences += [f"gone: {shown(row)}" for row in gone[PAIRED:]]
    differences += [f"new: {shown(row)}" for row in come]
    return Compared(thing=thing, old=left.total(), new=right.total(), differences=differences, added=added)


def as_text(row: Row) -> str:
    """Return a row as text, the same for equal rows; dates and decimals as they are written."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, default=str)


def shown(row: Row) -> str:
    """Return a row for people: the columns that hold something."""
    return ", ".join(f"{key} {_cut(value)}" for key, value in row.items() if value is not None)


def _alike(row: Row, other: Row) -> int:
    """Return in how many columns two rows are equal."""
    return sum(value is not None and other.get(key) == value for key, value in row.items())


def _changed(old: Row, new: Row) -> str:
    """Say what changed from a row to the one that stands in its place, and which row it is."""
    columns = [*old, *(key for key in new if key not in old)]
    differing = [key for key in columns if old.get(key) != new.get(key) or (key in old) != (key in new)]
    same = {key: value for key, value in old.items() if key not in differing}
    changes = [f"[{key}] {_where(old.get(key), new.get(key))}" for key in differing]
    return f"{'; '.join(changes)} where {shown(same)}"


def _where(old: Any, new: Any) -> str:
    """Return both values, long ones from shortly before the place at which they part."""
    texts = [value if isinstance(value, str) else as_text(value) for value in (old, new)]
    place = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    begin = max(0, place - AROUND)
    cut = [text if len(text) <= 2 * AROUND else f"…{text[begin : place + AROUND]}…" for text in texts]
    return f"{cut[0]} -> {cut[1]}"


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else as_text(value)
    return text if len(text) <= AROUND else f"{text[:AROUND]}…"
