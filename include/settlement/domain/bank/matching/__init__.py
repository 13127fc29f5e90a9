"""What a statement line is: a list of named rules, in order of certainty, over the lines that are still open.

Method. Money of one currency and one direction is matched with itself only. First what is exact: lines that carry the
very reference of one subject (a receipt, a payout) and its very amount; this is most of a day, and it is done on whole
columns. What is left is read closely: our references are looked for in everything that a line says, as banks mangle
it (wrapped, truncated, in capitals, with spaces and signs between). Lines and subjects that name each other so form
clusters, in which sums are searched: one line for several subjects, several lines for one, several for several. Then
come differences that the policy tolerates, and last amount, account and date alone.

Nothing is guessed. Where two explanations compete, neither is taken: the line goes to suspense, is a break that lists
its candidates, and is matched again by every later run. A search is bounded (`sums.MOST_LINES`, `sums.MOST_SUBJECTS`);
beyond the bound it is not begun.

Always: a line and a subject are matched at most once; lines + tolerated difference = subjects; and the result depends
neither on the order of lines and subjects nor on how lines were split into statements.
"""

from collections.abc import Iterable
from itertools import compress
from operator import attrgetter

from settlement.domain.bank.matching import close, exact
from settlement.domain.bank.matching.model import (
    Match,
    Mismatch,
    MismatchCause,
    OpenLine,
    Subject,
    SubjectKind,
    Terms,
)

__all__ = ["Match", "Mismatch", "MismatchCause", "OpenLine", "Subject", "SubjectKind", "Terms", "match"]


def match(
    lines: Iterable[OpenLine],
    subjects: Iterable[Subject],
    *,
    taken: Iterable[Subject] = (),
    terms: Terms | None = None,
) -> tuple[list[Match], list[Mismatch]]:
    """Match the lines with the subjects, and tell which lines point at something of ours and still do not fit it.

    `taken` are subjects that have their line already; a line that names one of them is a duplicate.

    Matches and mismatches are each in the order of their first line.
    """
    ordered, offered = sorted(lines, key=attrgetter("line_id")), list(subjects)
    matches, line_is_left = exact.of_accounts(ordered, terms or Terms())
    ordered = list(compress(ordered, line_is_left))
    pairs = exact.exactly(exact.line_columns(ordered), exact.subject_columns(offered))
    for place, to, rule in zip(pairs["line"], pairs["subject"], pairs["rule"], strict=True):
        found = Match(lines=(ordered[place],), subjects=(offered[to],), rule=rule, explanation=exact.EXPLANATIONS[rule])
        matches.append(found)
    left, free = exact.left_over(pairs, lines=len(ordered), subjects=len(offered))
    gone = [subject for found in matches for subject in found.subjects if subject.kind != SubjectKind.ACCOUNT]
    read, mismatches = close.closely(
        [ordered[place] for place in left], [offered[place] for place in free], taken=[*taken, *gone], terms=terms
    )
    return sorted([*matches, *read], key=attrgetter("match_id")), mismatches
