"""What a statement line is: a list of named rules, in order of certainty, over the lines that are still open.

Method. Money of one currency and one direction is matched with itself only. First what is exact: lines that carry the
very reference of one subject (a receipt, a payout) and its very amount; this is most of a day, and it is done on whole
columns. What is left is read closely: our references are looked for in everything that a line says, as banks mangle
it (wrapped, truncated, in capitals, with spaces and signs between). Lines and subjects that name each other so form
clusters, in which sums are searched: one line for several subjects, several lines for one, several for several. Then
come differences that the policy tolerates, and last amount, account and date alone.

Nothing is guessed. Where two explanations compete, neither is taken: the line goes to suspense, is a break that lists
its candidates, and is matched again by every later run. A search is bounded (`MOST_LINES`, `MOST_SUBJECTS`); beyond the
bound it is not begun.

Always: a line and a subject are matched at most once; lines + tolerated difference = subjects; and the result depends
neither on the order of lines and subjects nor on how lines were split into statements.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import compress, pairwise
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MOST_LINES, MOST_SUBJECTS = 8, 14
"""The largest cluster in which sums are searched: 2^8 sums of lines against 2^14 sums of subjects."""

EARLIEST = ("booking_date", "amount", "end_to_end_id", "reference", "remittance", "counterparty_account", "line_id")
"""What decides which of equal lines is the earlier one: what they say; and their ids, which change with the statement
that a line stands in, only for lines that say the very same."""

SHORTEST_REFERENCE = 4
SHORTEST_FRAGMENT, MOST_FRAGMENT_NAMES = 8, 10
"""How much of a truncated reference must be left, and how many references may begin so, for it to say anything."""

CHARGES, INTEREST = "bank_charges", "bank_interest"
"""The accounts to which what the bank keeps or pays for the account itself is booked."""


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
    is_charge: bool = False
    bank_code: str = ""
    file_id: str | None = None
    counterparty_account: str | None = field(default=None, repr=False)

    @property
    def place(self) -> tuple[Any, ...]:
        """Where the line stands among others, whichever statements they came in."""
        return tuple(getattr(self, name) or "" for name in EARLIEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a line may turn out to be: `amount` as the line would carry it, `reference` as the bank would call it.

    `on` is the business day on which it is expected, `group` what a payer may name instead (the loan, the payment
    file), `account` the other party's.
    """

    kind: str  # receipt, receipt_undone, payout, payout_return, account
    subject_id: str
    amount: int
    currency: str
    reference: str
    on: date | None = None
    group: str | None = None
    account: str | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other."""
        return (self.kind, self.subject_id)


class Match(NamedTuple):
    """Lines and what they are together, with the rule that says so and a sentence for people.

    A tuple, because there are a million of them on a large day and a dataclass takes four times as long to make.
    """

    lines: tuple[OpenLine, ...]
    subjects: tuple[Subject, ...]
    rule: str
    explanation: str

    @property
    def match_id(self) -> str:
        """The id of the match: its first line's."""
        return min(line.line_id for line in self.lines)

    @property
    def difference(self) -> int:
        """What the lines lack to be the subjects; only a tolerance or a person allows one."""
        return sum(s.amount for s in self.subjects) - sum(line.amount for line in self.lines)

    def parts(self) -> Iterator[tuple[OpenLine, Subject, int, int]]:
        """Yield which part of which line pays which subject, and what of the difference it clears.

        Lines in their order and subjects by their ids are poured into each other; amounts of one match have one sign.
        """
        if len(self.lines) == 1 and len(self.subjects) == 1:
            yield self.lines[0], self.subjects[0], self.lines[0].amount, self.difference
            return
        lines = sorted(self.lines, key=attrgetter("place"))
        subjects = sorted(self.subjects, key=lambda subject: subject.key)
        place, left = 0, lines[0].amount
        for subject in subjects:
            needed = subject.amount
            while needed:
                part = min(left, needed, key=abs)
                yield lines[place], subject, part, 0
                needed, left = needed - part, left - part
                if not left and place + 1 < len(lines):
                    place, left = place + 1, lines[place + 1].amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A line that points at something of ours and does not fit it, or that fits several."""

    line: OpenLine
    cause: str  # amount_differs, duplicate_line, ambiguous
    candidates: tuple[Subject, ...]


def _calendar_days(first: date, last: date) -> int:
    return abs((last - first).days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the policy allows: differences by currency, and how far apart the days of an amount match may lie.

    `remitted_to` says of the other party's account, squeezed, which of our own it is paid from: fees, taxes, costs.
    """

    tolerance: Mapping[str, int] = field(default_factory=dict)
    tolerance_ppm: Mapping[str, int] = field(default_factory=dict)
    remitted_to: Mapping[str, str] = field(default_factory=dict)
    within_days: int = 3
    days_apart: Callable[[date, date], int] = _calendar_days

    def tolerated(self, subject: Subject) -> int:
        """Return the largest difference allowed on a subject: the amount, or the part of its own if that is more."""
        part = abs(subject.amount) * self.tolerance_ppm.get(subject.currency, 0) // 1_000_000
        return max(self.tolerance.get(subject.currency, 0), part)


def match(
    lines: Iterable[OpenLine],
    subjects: Iterable[Subject],
    *,
    taken: Iterable[Subject] = (),
    terms: Terms | None = None,
) -> tuple[list[Match], list[Mismatch]]:
    """Match the lines with the subjects, and tell which lines point at something of ours and still do not fit it.

    `taken` are subjects that have their line already; a line that names one of them is a duplicate.

    :return: matches and mismatches, each in the order of their first line.
    """
    ordered, offered = sorted(lines, key=attrgetter("line_id")), list(subjects)
    matches, line_is_left = _of_accounts(ordered, terms or Terms())
    ordered = list(compress(ordered, line_is_left))
    pairs = exactly(line_columns(ordered), subject_columns(offered))
    for place, to, rule in zip(pairs["line"], pairs["subject"], pairs["rule"], strict=True):
        found = Match(lines=(ordered[place],), subjects=(offered[to],), rule=rule, explanation=EXPLANATIONS[rule])
        matches.append(found)
    left, free = left_over(pairs, lines=len(ordered), subjects=len(offered))
    gone = [subject for found in matches for subject in found.subjects if subject.kind != "account"]
    close, mismatches = closely(
        [ordered[place] for place in left], [offered[place] for place in free], taken=[*taken, *gone], terms=terms
    )
    return sorted([*matches, *close], key=attrgetter("match_id")), mismatches


def closely(
    lines: Sequence[OpenLine], subjects: Sequence[Subject], *, taken: Sequence[Subject] = (), terms: Terms | None = None
) -> tuple[list[Match], list[Mismatch]]:
    """Match what exact matching left: read closely what lines say, search sums, allow what the terms tolerate.

    :return: matches and mismatches, each in the order of their first line.
    """
    ordered = sorted(lines, key=attrgetter("line_id"))
    free = sorted(subjects, key=attrgetter("key"))
    keys = {key for line in ordered for key in (line.end_to_end_id, line.reference) if key}
    named_before = sorted((subject for subject in taken if subject.reference in keys), key=attrgetter("key"))
    matches: list[Match] = []
    mismatches: list[Mismatch] = []
    for currency, is_credit in sorted({(line.currency, line.amount > 0) for line in ordered}):
        side = _Side(
            lines=[x for x in ordered if x.currency == currency and (x.amount > 0) is is_credit],
            free=[s for s in free if s.currency == currency and (s.amount > 0) is is_credit],
            taken=[s for s in named_before if (s.amount > 0) is is_credit],
            terms=terms or Terms(),
        )
        for close in CLOSE_RULES:
            matches += side.take(close(side))
        mismatches += side.mismatches()
    return sorted(matches, key=attrgetter("match_id")), sorted(mismatches, key=lambda m: m.line.line_id)


# ------------------------------------------------------------------------------------------------------- exact rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRule:
    """A line whose `key` is the very reference of a subject of these kinds, to the unit."""

    name: str
    key: str
    kinds: frozenset[str]
    says: str


PAYOUT_KINDS, RECEIPT_KINDS = frozenset({"payout", "payout_return"}), frozenset({"receipt", "receipt_undone"})
EXACT_RULES = (
    ExactRule(
        name="end_to_end_id",
        key="end_to_end_id",
        kinds=PAYOUT_KINDS,
        says="the line carries its end-to-end id and its amount",
    ),
    ExactRule(
        name="bank_reference",
        key="reference",
        kinds=RECEIPT_KINDS,
        says="the line carries its bank reference and its amount",
    ),
    ExactRule(
        name="bank_reference_as_end_to_end_id",
        key="end_to_end_id",
        kinds=RECEIPT_KINDS,
        says="the line's end-to-end id is its bank reference, with its amount",
    ),
)


EXPLANATIONS = {rule.name: rule.says for rule in EXACT_RULES}


def exactly(lines: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Pair every line with the one subject whose very reference and very amount it carries, on whole columns.

    Frames come as `line_columns` and `subject_columns` make them. A line that fits several subjects is not paired; of
    several equal lines for one subject the earliest is it.

    :return: one row per pair, in the order of lines: the places `line` and `subject` in the frames, and the `rule`.
    """
    line_is_left, subject_is_left = np.ones(len(lines), dtype=bool), (subjects["reference"] != "").to_numpy(copy=True)
    amounts, due = lines["amount"].to_numpy(), subjects["amount"].to_numpy()
    currencies = pd.factorize(pd.concat([lines["currency"], subjects["currency"]]))[0]
    currency, due_currency = currencies[: len(lines)], currencies[len(lines) :]
    paired = np.empty((3, 0), dtype=np.int64)
    for number, rule in enumerate(EXACT_RULES):
        asking = np.flatnonzero(line_is_left & lines[rule.key].notna().to_numpy())
        asked = np.flatnonzero(subject_is_left & subjects["kind"].isin(rule.kinds).to_numpy())
        if not len(asking) or not len(asked):
            continue
        at, to = _joined(lines[rule.key].take(asking), subjects["reference"].take(asked))
        at, to = asking[at], asked[to]
        agree = (amounts[at] == due[to]) & (currency[at] == due_currency[to])
        at, to = _unambiguous(lines, at[agree], to[agree])
        line_is_left[at] = subject_is_left[to] = False
        paired = np.hstack([paired, [at, to, np.full(len(at), number)]])
    # Pairs of each rule ascend already: a stable sort merges them.
    at, to, numbers = paired[:, np.argsort(paired[0], kind="stable")]
    rules = pd.Categorical.from_codes(numbers, categories=pd.Index(list(EXPLANATIONS)))
    return pd.DataFrame({"line": at, "subject": to, "rule": rules})


def left_over(pairs: pd.DataFrame, *, lines: int, subjects: int) -> tuple[list[int], list[int]]:
    """Return the places of the lines and of the subjects that are in no pair."""
    line_is_left, subject_is_left = np.ones(lines, dtype=bool), np.ones(subjects, dtype=bool)
    line_is_left[pairs["line"]] = subject_is_left[pairs["subject"]] = False
    return np.flatnonzero(line_is_left).tolist(), np.flatnonzero(subject_is_left).tolist()


def line_columns(lines: Sequence[OpenLine]) -> pd.DataFrame:
    """Return what exact rules read of lines, one row each."""
    return _columns(lines, "currency", *EARLIEST)


def subject_columns(subjects: Sequence[Subject]) -> pd.DataFrame:
    """Return what exact rules read of subjects, one row each."""
    return _columns(subjects, "kind", "amount", "currency", "reference")


def _columns(rows: Sequence[Any], *names: str) -> pd.DataFrame:
    dtypes = {"amount": "int64", "booking_date": "object"}
    return pd.DataFrame({name: pd.Series(map(attrgetter(name), rows), dtype=dtypes.get(name, "str")) for name in names})


def _joined(keys: "pd.Series[str]", references: "pd.Series[str]") -> tuple[np.ndarray, np.ndarray]:
    """Return the places of every key and reference that are the same, in the order of keys."""
    asking = pd.DataFrame({"reference": keys.array, "at": np.arange(len(keys))})
    asked = pd.DataFrame({"reference": references.array, "to": np.arange(len(references))})
    both = asking.merge(asked, how="inner", on="reference")
    return both["at"].to_numpy(), both["to"].to_numpy()


def _unambiguous(lines: pd.DataFrame, at: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs without lines that fit several subjects, and with the earliest of several equal lines."""
    if not len(at) or (np.bincount(at).max() == 1 and np.bincount(to).max() == 1):
        return at, to
    pairs = lines[list(EARLIEST)].take(at).assign(at=at, to=to).drop_duplicates("at", keep=False)
    earliest = pairs.sort_values(list(EARLIEST), na_position="first").drop_duplicates("to")
    return earliest["at"].to_numpy(), earliest["to"].to_numpy()


def _of_accounts(lines: Sequence[OpenLine], terms: Terms) -> tuple[list[Match], list[bool]]:
    """Return the matches of lines that belong to an account by themselves, and which lines are left."""
    interest = {code for code in set(map(attrgetter("bank_code"), lines)) if _is_interest(code)}
    found = [_of_account(line, interest, terms) for line in lines]
    return [one for one in found if one], [one is None for one in found]


def _of_account(line: OpenLine, interest: set[str], terms: Terms) -> Match | None:
    """What the bank marks as its own belongs to an account, whatever else it names; so does what we hand on."""
    if line.is_charge:
        return _with_account(line, CHARGES, rule="bank_charge", explanation="the bank marks it as a charge of its own")
    if line.bank_code in interest:
        return _with_account(line, INTEREST, rule="bank_interest", explanation="the bank marks it as interest")
    if terms.remitted_to and line.amount < 0 and line.counterparty_account:
        account = terms.remitted_to.get(squeezed(line.counterparty_account))
        if account:
            explanation = f"it goes to an account that the policy names for [{account}]"
            return _with_account(line, account, rule="remitted", explanation=explanation)
    return None


def _is_interest(bank_code: str) -> bool:
    """Tell whether a bank's code (ISO 20022 domain and family, or SWIFT type) is that of interest."""
    return "INTR" in bank_code or bank_code[1:4] == "INT"


def _with_account(line: OpenLine, account: str, *, rule: str, explanation: str) -> Match:
    subject = Subject(kind="account", subject_id=account, amount=line.amount, currency=line.currency, reference=account)
    return Match(lines=(line,), subjects=(subject,), rule=rule, explanation=explanation)


# ------------------------------------------------------------------------------------------------------- close rules


class _Side:
    """The lines and subjects of one currency and direction that are left, and which name which."""

    def __init__(self, *, lines: list[OpenLine], free: list[Subject], taken: list[Subject], terms: Terms) -> None:
        self.terms = terms
        self.lines = {line.line_id: line for line in lines}
        self.free = {subject.key: subject for subject in free}
        self.taken = {subject.key: subject for subject in taken}
        self._names = _Names([*free, *taken])
        self.named = {line.line_id: self._names.of(line) for line in lines}
        self.rivals: dict[str, set[tuple[str, str]]] = defaultdict(set)
        """Of a line that was left alone because several explanations compete: the subjects in them."""

    def names_free(self, line_id: str) -> list[Subject]:
        """Return the free subjects that the line names, in the order of their keys."""
        return [self.free[key] for key in self.named[line_id] if key in self.free]

    def take(self, found: Sequence[Match]) -> list[Match]:
        """Let what a rule found be gone for the rules after it."""
        for one in found:
            for line in one.lines:
                del self.lines[line.line_id]
            for subject in one.subjects:
                self.taken[subject.key] = self.free.pop(subject.key)
        return list(found)

    def mismatches(self) -> list[Mismatch]:
        """Return what is left and points at something of ours."""
        return [found for line in self.lines.values() if (found := self._mismatch(line)) is not None]

    def _mismatch(self, line: OpenLine) -> Mismatch | None:
        free = self.names_free(line.line_id)
        taken = [self.taken[key] for key in self.named[line.line_id] if key in self.taken]
        rivals = [self.free[key] for key in sorted(self.rivals.get(line.line_id, ())) if key in self.free]
        same = [subject for subject in taken if subject.amount == line.amount]
        if rivals:
            return Mismatch(line=line, cause="ambiguous", candidates=tuple(rivals))
        if len([subject for subject in free if subject.amount == line.amount]) > 1:
            return Mismatch(line=line, cause="ambiguous", candidates=tuple(free))
        if same:
            return Mismatch(line=line, cause="duplicate_line", candidates=tuple(same))
        if free or taken:
            return Mismatch(line=line, cause="amount_differs", candidates=tuple(free or taken))
        return None


def by_our_reference(side: _Side) -> list[Match]:
    """Match where a line names exactly one open subject, as banks write references, and carries its amount."""
    claims: dict[tuple[str, str], list[OpenLine]] = defaultdict(list)
    for line in side.lines.values():
        fitting = [s for s in side.names_free(line.line_id) if s.amount == line.amount]
        if len(fitting) == 1 and not _names_more(side, line, fitting[0]):
            claims[fitting[0].key].append(line)
    found = []
    for key, lines in claims.items():
        subject = side.free[key]
        explanation = f"the line names [{subject.reference}], and the amount is the same"
        # Several equal lines for one subject: the earliest is it, the others are duplicates of it.
        line = min(lines, key=attrgetter("place"))
        found.append(Match(lines=(line,), subjects=(subject,), rule="our_reference", explanation=explanation))
    return found


def _names_more(side: _Side, line: OpenLine, subject: Subject) -> bool:
    """Tell whether the line names another reference in full: then it may be a sum, and its amount a coincidence."""
    return any(
        other.key != subject.key and side._names.is_full(line, other) and not side._names.is_full(line, subject)
        for other in side.names_free(line.line_id)
    )


def by_sums(side: _Side) -> list[Match]:
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


def _clusters(side: _Side) -> list[tuple[list[str], list[tuple[str, str]]]]:
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
    members: dict[object, tuple[list[str], list[tuple[str, str]]]] = defaultdict(lambda: ([], []))
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


def by_tolerance(side: _Side) -> list[Match]:
    """Match a line with the one subject that it names, and that no other line names, within the policy's tolerance."""
    named_by: dict[tuple[str, str], list[str]] = defaultdict(list)
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
        if 0 < abs(difference) <= allowed:
            explanation = f"the line names [{subject.reference}]; the difference of [{difference}] is tolerated"
            found.append(Match(lines=(line,), subjects=(subject,), rule="tolerance", explanation=explanation))
    return found


def by_amount_and_date(side: _Side) -> list[Match]:
    """Match on amount, account and date alone, where one line and one subject fit each other and no third does.

    What a line says must not speak against it: it names nothing of ours, and no reference of somebody else's. Where
    both name the other party's account, the accounts must be the same, and then the line's text does not matter.
    """
    by_amount: dict[int, list[Subject]] = defaultdict(list)
    for subject in side.free.values():
        if subject.on is not None:
            by_amount[subject.amount].append(subject)
    wanted: dict[str, list[Subject]] = {}
    claims: dict[tuple[str, str], int] = defaultdict(int)
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
    if subject.kind in ("payout", "payout_return"):
        return False  # a payout without its id and without its payee's account is nobody's
    return not subject.reference or not (line.end_to_end_id or line.reference or line.remittance.strip())


CLOSE_RULES: tuple[Callable[[_Side], list[Match]], ...] = (
    by_our_reference,
    by_sums,
    by_tolerance,
    by_amount_and_date,
)


# ------------------------------------------------------------------------------------------------------------- names


class _Names:
    """Which subjects a line names: their references and groups, found in the text of lines as banks mangle it."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._full: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for subject in subjects:
            reference = squeezed(subject.reference)
            if len(reference) >= SHORTEST_REFERENCE:
                self._full[reference].append(subject.key)
            if subject.group:
                self._groups[squeezed(subject.group)].append(subject.key)
        self._ordered = sorted(self._full)
        self._lengths = sorted({len(reference) for reference in self._full}, reverse=True)

    def of(self, line: OpenLine) -> list[tuple[str, str]]:
        """Return the keys of the subjects that the line names: by reference, else by a fragment, else by group."""
        texts = _texts(line)
        references = self._references(texts) or self._truncated(texts)
        keys = [key for reference in references for key in self._full[reference]]
        if not keys:
            keys = [key for word in _words(line) for key in self._groups.get(word, ())]
        return sorted(set(keys))

    def is_full(self, line: OpenLine, subject: Subject) -> bool:
        """Tell whether the line names the subject's reference in full."""
        return any(squeezed(subject.reference) in text for text in _texts(line))

    def _references(self, texts: Sequence[str]) -> list[str]:
        found: list[str] = []
        for text in texts:
            for length in self._lengths:
                for start in range(len(text) - length + 1):
                    piece = text[start : start + length]
                    if piece in self._full and not any(piece in longer for longer in found):
                        found.append(piece)
        return found

    def _truncated(self, texts: Sequence[str]) -> list[str]:
        """Return the references of which a text ends with the beginning, by the longest such beginning."""
        for text in texts:
            for length in range(min(len(text), max(self._lengths, default=0)), SHORTEST_FRAGMENT - 1, -1):
                fragment = text[-length:]
                first = bisect_left(self._ordered, fragment)
                some = self._ordered[first : first + MOST_FRAGMENT_NAMES + 1]
                begun = [reference for reference in some if reference.startswith(fragment)]
                if begun:
                    return begun if len(begun) <= MOST_FRAGMENT_NAMES else []
        return []


def references_of(line: OpenLine) -> list[str]:
    """Return everything in a line that may be a reference as we write it: to ask the books and the source for.

    A word that the bank broke or wrote in small letters is tried whole and in capitals too.
    """
    ours = [found for text in _texts(line) for found in _PAYOUT_REFERENCE.findall(text)]
    words = line.remittance.split()
    whole = [*words, *(first + second for first, second in pairwise(words))]
    said = (line.end_to_end_id, line.reference, *whole, *(word.upper() for word in whole), *ours)
    return list(dict.fromkeys(key for key in said if key))


_PAYOUT_REFERENCE = re.compile(r"ST\d{11}[A-Z2-7]{16}")


def _texts(line: OpenLine) -> list[str]:
    """Return what a line says, in capitals and without anything but letters and digits."""
    said = (line.end_to_end_id, line.reference, line.remittance)
    return [bare for text in said if text and (bare := squeezed(text))]


def _words(line: OpenLine) -> list[str]:
    """Return the words of a line, and each two neighbours as one, for a bank may break a word."""
    words = [
        squeezed(word) for text in (line.reference, line.remittance, line.file_id) if text for word in text.split()
    ]
    return [*words, *(first + second for first, second in pairwise(words))]


_NOT_SAID = re.compile(r"[\W_]+")


def squeezed(text: str) -> str:
    """Return a text in capitals and without anything but letters and digits."""
    return text.upper() if text.isalnum() else _NOT_SAID.sub("", text).upper()
