"""What a statement line is: a list of named rules, in order of certainty, over the lines that are still open.

Method. Money of one currency and one direction is matched with itself only. First what is exact: lines that carry the
very reference of one subject (a receipt, a payout) and its very amount; this is most of a day, and it is done on whole
columns. What is left is passed on as columns too, and becomes records where it is read closely: our references are
looked for in everything that a line says, as banks mangle it (wrapped, truncated, in capitals, with spaces and signs
between). Lines and subjects that name each other so form clusters, in which sums are searched: one line for several
subjects, several lines for one, several for several. Then come differences that the policy tolerates, and last amount,
account and date alone.

Nothing is guessed. Where two explanations compete, neither is taken: the line goes to suspense, is a break that lists
its candidates, and is matched again by every later run. A search is bounded (`sums.MOST_LINES`, `sums.MOST_SUBJECTS`);
beyond the bound it is not begun.

Always: a line and a subject are matched at most once; lines + tolerated difference = subjects; and the result depends
neither on the order of lines and subjects nor on how lines were split into statements.
"""

import pandas as pd

from settlement.domain import frames
from settlement.domain.bank.matching import close, exact
from settlement.domain.bank.matching.model import (
    Match,
    Mismatch,
    MismatchCause,
    OpenLine,
    Subject,
    SubjectKind,
    Terms,
    columns_of,
    lines_in,
    subjects_in,
)

__all__ = [
    "Match",
    "Mismatch",
    "MismatchCause",
    "OpenLine",
    "Subject",
    "SubjectKind",
    "Terms",
    "columns_of",
    "lines_in",
    "match",
    "subjects_in",
]


def match(
    lines: pd.DataFrame, subjects: pd.DataFrame, *, taken: pd.DataFrame | None = None, terms: Terms | None = None
) -> tuple[pd.DataFrame, list[Mismatch]]:
    """Match the lines with the subjects, and tell which lines point at something of ours and still do not fit it.

    `lines` is a frame `OPEN_LINES`, `subjects` and `taken` are frames `SUBJECTS`: `taken` those that have their line
    already; a line that names one of them is a duplicate. The matches are a frame `MATCHES`.

    Matches and mismatches are each in the order of their first line.

    Raises InvalidFrame: a frame breaks its specification.
    """
    allowed, before = terms or Terms(), subjects.head(0) if taken is None else taken
    shown = frames.check(lines, frames.OPEN_LINES)
    if shown.empty:
        return frames.build(frames.MATCHES), []
    for offered in (subjects, before):
        frames.check(offered, frames.SUBJECTS)
    if not shown["line_id"].is_monotonic_increasing:
        shown = shown.sort_values("line_id")
    own, mismatches = exact.of_accounts(shown, allowed), list[Mismatch]()
    if own:
        shown = shown[~shown["line_id"].isin([found.match_id for found in own])]
    pairs = exact.exactly(shown, subjects, taken=before, terms=allowed)
    matches = exact.matches_of(pairs, shown, subjects)
    if len(pairs) < len(shown):
        left, free = exact.left_over(pairs, shown, subjects)
        gone = pd.concat([before, subjects.take(pairs["subject"].to_numpy())])
        read, mismatches = close.closely(left, free, taken=gone, terms=allowed)
        own += read
    if own:
        matches = pd.concat([matches, columns_of(own)]).sort_values("match_id", kind="stable", ignore_index=True)
    return matches, mismatches
