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
from settlement.domain.bank.matching.references import Names, by_our_reference, references_of, squeezed
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
    keys = {key for its_lines in sides.values() for line in its_lines for key in _named(line)}
    named_before = taken["reference"].isin(keys)
    matches: list[Match] = []
    mismatches: list[Mismatch] = []
    for (currency, is_credit), its_lines in sorted(sides.items()):
        its_free = _in_order(subjects[(subjects["currency"] == currency) & ((subjects["amount"] > 0) == is_credit)])
        its_taken = _in_order(taken[named_before & ((taken["amount"] > 0) == is_credit)])
        names = Names([*its_free, *its_taken])
        named = {line.line_id: names.of(line) for line in its_lines}
        side = Side(lines=its_lines, free=its_free, taken=its_taken, named=named, terms=terms)
        for close in CLOSE_RULES:
            matches += side.take(close(side))
        mismatches += side.mismatches()
    return sorted(matches, key=attrgetter("match_id")), sorted(mismatches, key=lambda m: m.line.line_id)


def _named(line: OpenLine) -> list[str]:
    return references_of(line.end_to_end_id, line.reference, line.bank_reference, line.remittance)


def _in_order(subjects: pd.DataFrame) -> list[Subject]:
    """Return subjects as records, in the order of their keys."""
    return sorted(subjects_in(subjects), key=attrgetter("key"))


def by_tolerance(side: Side) -> list[Match]:
    """Match a line with the one subject that it names, and that no other line names, within the policy's tolerance."""
    named_by: dict[Key, list[str]] = defaultdict(list)
    for line_id in side.lines:
        for subject in side.names_free(line_id):
            named_by[subject.key].append(line_id)
    found = []
    for line_id, line in side.lines.items():
        subjects = side.names_free(line_id)
        if len(subjects) != 1 or len(named_by[subjects[0].key]) != 1 or line_id in side.rivals:
            continue
        subject = subjects[0]
        allowed, difference = side.terms.tolerated(subject), subject.amount - line.amount
        # Of a payout the bank may keep a fee, and nothing else is tolerated: more leaves, or less comes back.
        if 0 < abs(difference) <= allowed and (difference > 0 or subject.kind not in PAYOUT_KINDS):
            explanation = f"the line names [{subject.reference}]; the difference of [{difference}] is tolerated"
            found.append(Match(lines=(line,), subjects=(subject,), rule="tolerance", explanation=explanation))
    return found


def by_amount_and_date(side: Side) -> list[Match]:
    """Match on amount, account and date alone, where one line and one subject fit each other and no third does.

    What a line says must not speak against it: it names nothing of ours, and no reference of somebody else's. Where
    both name the other party's account, the accounts must be the same, and then the line's text does not matter.
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
    return not subject.reference or not (line.end_to_end_id or line.reference or line.remittance.strip())


CLOSE_RULES: tuple[Callable[[Side], list[Match]], ...] = (
    by_our_reference,
    by_sums,
    by_tolerance,
    by_amount_and_date,
)
