"""Sums: one line for several subjects, several lines for one, and several for several.

Only lines and subjects that name each other are added up, and only in clusters small enough to try every sum. Where two
sums compete for a line or a subject and do not agree as a whole, neither is taken.
"""

from collections import defaultdict
from collections.abc import Sequence

from settlement.domain.bank.matching.model import Key, Match, OpenLine, Side, Subject

MOST_LINES, MOST_SUBJECTS = 8, 14
"""The largest cluster in which sums are searched: 2^8 sums of lines against 2^14 sums of subjects."""


def by_sums(side: Side) -> list[Match]:
    """Match lines and subjects that name each other and whose sums agree: 1:N, N:1 and N:M, by exact bounded search.

    A sum counts if no smaller one is within it. Sums that share a line or a subject compete; if all that competes
    agrees as a whole it is one match, otherwise none of it is, and it is ambiguous.
    """
    found = []
    for line_ids, keys in _clusters(side):
        lines = [side.lines[line_id] for line_id in line_ids]
        subjects = [side.free[key] for key in keys]
        if len(lines) > MOST_LINES or len(subjects) > MOST_SUBJECTS:
            if sum(x.amount for x in lines) == sum(s.amount for s in subjects):
                found.append(_sum_match(lines, subjects))
            continue
        for some_lines, some_subjects in _competing(_smallest(_sums(lines, subjects))):
            its_lines = [lines[place] for place in _places(some_lines)]
            its_subjects = [subjects[place] for place in _places(some_subjects)]
            if sum(x.amount for x in its_lines) == sum(s.amount for s in its_subjects):
                found.append(_sum_match(its_lines, its_subjects))
            else:
                for line in its_lines:
                    side.rivals[line.line_id] |= {subject.key for subject in its_subjects}
    return found


def _sum_match(lines: Sequence[OpenLine], subjects: Sequence[Subject]) -> Match:
    shape = f"{'1' if len(lines) == 1 else 'N'}:{'1' if len(subjects) == 1 else 'N' if len(lines) == 1 else 'M'}"
    rule = {"1:1": "group", "1:N": "one_line_for_several", "N:1": "split", "N:M": "several_for_several"}[shape]
    total = sum(line.amount for line in lines)
    explanation = f"[{len(lines)}] lines and [{len(subjects)}] subjects that they name both sum to [{total}]"
    return Match(lines=tuple(lines), subjects=tuple(subjects), rule=rule, explanation=explanation)


def _clusters(side: Side) -> list[tuple[list[str], list[Key]]]:
    """Return the connected lines and free subjects, by who names whom; each in the order of ids."""
    leader: dict[object, object] = {}

    def lead(member: object) -> object:
        leader.setdefault(member, member)
        while leader[member] != member:
            leader[member] = leader[leader[member]]
            member = leader[member]
        return member

    for line_id in side.lines:
        for subject in side.names_free(line_id):
            leader[lead(line_id)] = lead(subject.key)
    members: dict[object, tuple[list[str], list[Key]]] = defaultdict(lambda: ([], []))
    for line_id in side.lines:
        if line_id in leader:
            members[lead(line_id)][0].append(line_id)
    for key in side.free:
        if key in leader:
            members[lead(key)][1].append(key)
    return [(lines, keys) for lines, keys in members.values() if lines and keys]


Sums = list[tuple[int, int]]
"""Solutions: (lines, subjects) as bit masks over a cluster's members."""


def _sums(lines: Sequence[OpenLine], subjects: Sequence[Subject]) -> Sums:
    """Return every pair of a set of lines and a set of subjects with equal sums."""
    by_sum: dict[int, list[int]] = defaultdict(list)
    for mask, total in enumerate(_subset_sums([subject.amount for subject in subjects])):
        if mask:
            by_sum[total].append(mask)
    line_sums = _subset_sums([line.amount for line in lines])
    return [(mask, other) for mask, total in enumerate(line_sums) if mask for other in by_sum.get(total, ())]


def _subset_sums(amounts: Sequence[int]) -> list[int]:
    sums = [0]
    for amount in amounts:
        sums += [total + amount for total in sums]
    return sums


def _smallest(sums: Sums) -> Sums:
    """Return the solutions that hold no smaller one."""
    kept: Sums = []
    for lines, subjects in sorted(sums, key=lambda s: (s[0].bit_count() + s[1].bit_count(), s)):
        if not any(a & lines == a and b & subjects == b for a, b in kept):
            kept.append((lines, subjects))
    return kept


def _competing(sums: Sums) -> Sums:
    """Return the solutions, those that share a line or a subject put together."""
    groups: Sums = []
    for lines, subjects in sums:
        touching = [(a, b) for a, b in groups if a & lines or b & subjects]
        groups = [group for group in groups if group not in touching]
        for a, b in touching:
            lines, subjects = lines | a, subjects | b
        groups.append((lines, subjects))
    return groups


def _places(mask: int) -> list[int]:
    return [place for place in range(mask.bit_length()) if mask >> place & 1]
