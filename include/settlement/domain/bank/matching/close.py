"""Close reading: what exact matching left, by rules that become less certain one after the other.

Money of one currency and one direction is matched with itself only. A rule takes what it is sure of and leaves the rest
to the next; what is left at the end and still points at something of ours is told as a mismatch.
"""

from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter

import pandas as pd

from settlement.domain.bank.matching.model import (
    PAYOUT_KINDS,
    Key,
    Match,
    Mismatch,
    OpenLine,
    Side,
    Subject,
    Terms,
    lines_in,
    subjects_in,
)
from settlement.domain.bank.matching.references import Names, by_our_reference, references_in, squeezed
from settlement.domain.bank.matching.sums import by_sums


def closely(
    lines: pd.DataFrame, subjects: pd.DataFrame, *, taken: pd.DataFrame, terms: Terms
) -> tuple[list[Match], list[Mismatch]]:
    """Match what exact matching left: read closely what lines say, search sums, allow what the terms tolerate.

    `lines` is a frame `OPEN_LINES`, `subjects` and `taken` are frames `SUBJECTS`. Rows become records here, and only
    those that a line of the same currency and direction may be about: on most days few.

    Matches and mismatches are each in the order of their first line.
    """
    sides: dict[tuple[str, bool], list[OpenLine]] = defaultdict(list)
    for line in sorted(lines_in(lines), key=attrgetter("line_id")):
        sides[line.currency, line.amount > 0].append(line)
    keys = {key for its_lines in sides.values() for line in its_lines for key in references_in(line, terms)}
    named_before = taken["reference"].isin(keys | set(subjects["reference"]))
    matches: list[Match] = []
    mismatches: list[Mismatch] = []
    for (currency, is_credit), its_lines in sorted(sides.items()):
        its_free = _in_order(subjects[(subjects["currency"] == currency) & ((subjects["amount"] > 0) == is_credit)])
        its_taken = _in_order(taken[named_before & ((taken["amount"] > 0) == is_credit)])
        names = Names([*its_free, *its_taken], terms)
        named = {line.line_id: names.of(line) for line in its_lines}
        side = Side(lines=its_lines, free=its_free, taken=its_taken, named=named, terms=terms)
        for close in CLOSE_RULES:
            matches += side.take(close(side))
        mismatches += side.mismatches()
    return sorted(matches, key=attrgetter("match_id")), sorted(mismatches, key=lambda m: m.line.line_id)


def _in_order(subjects: pd.DataFrame) -> list[Subject]:
    """Return subjects as records, in the order of their keys."""
    return sorted(subjects_in(subjects), key=attrgetter("key"))


def by_tolerance(side: Side) -> list[Match]:
    """Match a line with all that it names, and that no other line names, within the policy's tolerance.

    Of a payout, and of several together, only a fee is tolerated: less comes in, or more leaves, than is due.
    """
    named_by: dict[Key, list[str]] = defaultdict(list)
    for line_id in side.lines:
        for subject in side.names_free(line_id):
            named_by[subject.key].append(line_id)
    found = []
    for line_id, line in side.lines.items():
        subjects = side.names_free(line_id)
        if not subjects or line_id in side.rivals or any(len(named_by[subject.key]) > 1 for subject in subjects):
            continue
        difference = sum(subject.amount for subject in subjects) - line.amount
        is_fee = difference > 0 and (line.amount < 0 or difference < max(subject.amount for subject in subjects))
        may_differ = is_fee or (len(subjects) == 1 and subjects[0].kind not in PAYOUT_KINDS)
        if may_differ and 0 < abs(difference) <= side.terms.tolerated(subjects):
            named = ", ".join(subject.reference or subject.subject_id for subject in subjects)
            explanation = f"the line names [{named}]; the difference of [{difference}] is tolerated"
            found.append(Match(lines=(line,), subjects=tuple(subjects), rule="tolerance", explanation=explanation))
    return found


def by_amount_and_date(side: Side) -> list[Match]:
    """Match on amount, account and date alone, where one line and one subject fit each other and no third does.

    Nothing is guessed: both name the other party's account, and it is the same, or the line says nothing at all.
    """
    by_amount: dict[int, list[Subject]] = defaultdict(list)
    for subject in side.free.values():
        if subject.on is not None:
            by_amount[subject.amount].append(subject)
    wanted: dict[str, list[Subject]] = {}
    claims: dict[Key, int] = defaultdict(int)
    for line in side.lines.values():
        if side.named[line.line_id] or line.line_id in side.rivals:
            continue
        near = [s for s in by_amount.get(line.amount, ()) if _is_near(line, s, side.terms) and _may_be(line, s)]
        wanted[line.line_id] = near
        for subject in near:
            claims[subject.key] += 1
    found = []
    for line_id, near in wanted.items():
        if len(near) == 1 and claims[near[0].key] == 1:
            explanation = f"amount, account and date fit [{near[0].subject_id}] and nothing else"
            found.append(
                Match(
                    lines=(side.lines[line_id],), subjects=(near[0],), rule="amount_and_date", explanation=explanation
                )
            )
        elif near:
            side.rivals[line_id] |= {subject.key for subject in near}
    return found


def _is_near(line: OpenLine, subject: Subject, terms: Terms) -> bool:
    assert subject.on is not None
    return terms.days_apart(subject.on, line.booking_date) <= terms.within_days


def _may_be(line: OpenLine, subject: Subject) -> bool:
    if line.counterparty_account and subject.account:
        return squeezed(line.counterparty_account) == squeezed(subject.account)
    if subject.kind in PAYOUT_KINDS:
        return False  # a payout without its id and without its payee's account is nobody's
    return not (line.end_to_end_id or line.reference or line.remittance.strip())


CLOSE_RULES: tuple[Callable[[Side], list[Match]], ...] = (
    by_our_reference,
    by_sums,
    by_tolerance,
    by_amount_and_date,
)
