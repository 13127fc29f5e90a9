"""What a statement line is: a list of named rules, in order of certainty, over the lines that are still open.

Method: each rule looks at the lines that no earlier rule has explained and at the subjects (receipts, payouts) that no
line has taken yet, and proposes a match only where exactly one subject fits one line. Nothing is guessed: a line that
fits nothing goes to suspense and is matched again by every later run; one that fits several is a break that lists them.

Always: a line and a subject are matched at most once, and the result does not depend on the order of either.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLine:
    """A statement line that is not matched yet. A credit is positive."""

    line_id: str
    booking_date: date
    amount: int
    currency: str
    end_to_end_id: str | None
    reference: str | None
    remittance: str
    is_return: bool
    reason: str | None = None
    is_suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a line may turn out to be: `amount` as the line would carry it, `reference` as the bank would call it."""

    kind: str  # receipt, receipt_undone, payout, payout_return
    subject_id: str
    amount: int
    currency: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line and what it is, with the rule that says so and a sentence for people."""

    line: OpenLine
    subject: Subject
    rule: str
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A line whose reference is ours and whose amount is not, or that fits several subjects."""

    line: OpenLine
    cause: str  # amount_differs, duplicate_line, ambiguous
    candidates: tuple[Subject, ...]


def match(
    lines: Iterable[OpenLine], subjects: Iterable[Subject], *, taken: Iterable[Subject] = ()
) -> tuple[list[Match], list[Mismatch]]:
    """Match the lines with the subjects, and tell which lines point at a subject and still do not fit it.

    `taken` are subjects that have their line already; a line that names one of them is a duplicate.

    :return: matches and mismatches, each in the order of line_id.
    """
    left = {line.line_id: line for line in sorted(lines, key=lambda line: line.line_id)}
    free = {(subject.kind, subject.subject_id): subject for subject in subjects}
    matches: list[Match] = []
    for rule in RULES:
        for found in rule(list(left.values()), list(free.values())):
            if found.line.line_id in left and (found.subject.kind, found.subject.subject_id) in free:
                matches.append(found)
                del left[found.line.line_id]
                del free[(found.subject.kind, found.subject.subject_id)]
    return sorted(matches, key=lambda m: m.line.line_id), _mismatches(
        list(left.values()), list(free.values()), [*taken, *(found.subject for found in matches)]
    )


def by_end_to_end_id(lines: Sequence[OpenLine], subjects: Sequence[Subject]) -> list[Match]:
    """Match where the line carries the end-to-end id of a payout, to the unit."""
    return _unique_pairs(
        lines,
        [s for s in subjects if s.kind in ("payout", "payout_return")],
        key=lambda line: line.end_to_end_id,
        rule="end_to_end_id",
        says="the line carries its end-to-end id [{reference}] and its amount",
    )


def by_bank_reference(lines: Sequence[OpenLine], subjects: Sequence[Subject]) -> list[Match]:
    """Match where the line's structured reference is what the source calls the receipt, to the unit."""
    return _unique_pairs(
        lines,
        [s for s in subjects if s.kind in ("receipt", "receipt_undone")],
        key=lambda line: line.reference,
        rule="bank_reference",
        says="the line carries its bank reference [{reference}] and its amount",
    )


def by_reference_as_end_to_end_id(lines: Sequence[OpenLine], subjects: Sequence[Subject]) -> list[Match]:
    """Match receipts whose bank reference travels in the end-to-end id instead of the structured reference."""
    return _unique_pairs(
        lines,
        [s for s in subjects if s.kind in ("receipt", "receipt_undone")],
        key=lambda line: line.end_to_end_id,
        rule="bank_reference_as_end_to_end_id",
        says="the line's end-to-end id is its bank reference [{reference}], with its amount",
    )


def by_remittance(lines: Sequence[OpenLine], subjects: Sequence[Subject]) -> list[Match]:
    """Match where the remittance text, without its white space, is or contains exactly one open reference of ours."""
    by_reference: dict[str, list[Subject]] = defaultdict(list)
    for subject in subjects:
        if len(_squeezed(subject.reference)) >= 4:
            by_reference[_squeezed(subject.reference)].append(subject)
    matches = []
    for line in lines:
        text = _squeezed(line.remittance)
        if not text:
            continue
        named = [s for reference, found in by_reference.items() if reference in text for s in found]
        named = [
            s for s in named if not any(o is not s and _squeezed(s.reference) in _squeezed(o.reference) for o in named)
        ]
        fitting = [s for s in named if (s.amount, s.currency) == (line.amount, line.currency)]
        if len(named) == 1 and len(fitting) == 1:
            matches.append(
                Match(
                    line=line,
                    subject=fitting[0],
                    rule="remittance",
                    explanation=f"the remittance text names [{fitting[0].reference}], and the amount is the same",
                )
            )
    return _each_subject_once(matches)


RULES: tuple[Callable[[Sequence[OpenLine], Sequence[Subject]], list[Match]], ...] = (
    by_end_to_end_id,
    by_bank_reference,
    by_reference_as_end_to_end_id,
    by_remittance,
)


def _unique_pairs(
    lines: Sequence[OpenLine],
    subjects: Sequence[Subject],
    *,
    key: Callable[[OpenLine], str | None],
    rule: str,
    says: str,
) -> list[Match]:
    by_key: dict[tuple[str, int, str], list[Subject]] = defaultdict(list)
    for subject in subjects:
        by_key[(subject.reference, subject.amount, subject.currency)].append(subject)
    by_line: dict[tuple[str, int, str], list[OpenLine]] = defaultdict(list)
    for line in lines:
        reference = key(line)
        if reference:
            by_line[(reference, line.amount, line.currency)].append(line)
    matches = []
    for same, found in by_line.items():
        candidates = by_key.get(same, [])
        # Several equal lines for one subject: the earliest is it, the others are duplicates of it.
        if len(candidates) == 1:
            line = min(found, key=lambda line: (line.booking_date, line.line_id))
            explanation = says.format(reference=same[0])
            matches.append(Match(line=line, subject=candidates[0], rule=rule, explanation=explanation))
    return matches


def _each_subject_once(matches: Sequence[Match]) -> list[Match]:
    claims: dict[tuple[str, str], list[Match]] = defaultdict(list)
    for found in matches:
        claims[(found.subject.kind, found.subject.subject_id)].append(found)
    return [found[0] for found in claims.values() if len(found) == 1]


def _mismatches(lines: Sequence[OpenLine], free: Sequence[Subject], taken: Sequence[Subject]) -> list[Mismatch]:
    by_reference: dict[str, list[tuple[Subject, bool]]] = defaultdict(list)
    for subjects, is_taken in ((free, False), (taken, True)):
        for subject in subjects:
            by_reference[subject.reference].append((subject, is_taken))
    found = []
    for line in lines:
        keys = sorted({key for key in (line.end_to_end_id, line.reference) if key})
        named = [candidate for key in keys for candidate in by_reference.get(key, [])]
        fitting = [(s, is_taken) for s, is_taken in named if (s.amount, s.currency) == (line.amount, line.currency)]
        open_ones = [s for s, is_taken in fitting if not is_taken]
        if not named:
            continue
        cause = "ambiguous" if len(open_ones) > 1 else "duplicate_line" if fitting else "amount_differs"
        found.append(Mismatch(line=line, cause=cause, candidates=tuple(s for s, _ in fitting or named)))
    return found


def _squeezed(text: str) -> str:
    return "".join(text.split()).upper()
