"""What a line names of ours: references and groups, found in everything that it says, as banks mangle it.

Banks wrap, truncate, capitalise and put spaces and signs between; so a line and a reference are compared in capitals
and without anything but letters and digits.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from settlement.domain.bank.matching import dates, spelling
from settlement.domain.bank.matching.model import PAYOUT_KINDS, Key, Match, OpenLine, Side, Subject, Terms
from settlement.domain.bank.matching.spelling import Spelling
from settlement.domain.bank.statement import Part, Statement, StatementLine

SHORTEST_REFERENCE = 4
SHORTEST_FRAGMENT, MOST_FRAGMENT_NAMES = 8, 10
"""How much of a truncated reference must be left, and how many references may begin so, for it to say anything."""

_PAYOUT_REFERENCE = re.compile(r"ST\d{11}[A-Z2-7]{16}")
_NOT_SAID = re.compile(r"[\W_]+")


def naming_payouts(part: Part) -> Part:
    """Return a statement or notification whose lines carry the id of the one payout that they name, wherever they do.

    Many a bank tells the end-to-end id in a text, and an export to CSV has no other place for it. What a line shows of
    a payout then does not depend on the format. Ids and key stay what the bank's own words make them.
    """
    named = replace(part, lines=tuple(_naming_payouts(part.lines)))
    if isinstance(named, Statement) and named.otherwise:
        return replace(named, otherwise=naming_payouts(named.otherwise))
    return named


def _naming_payouts(lines: Iterable[StatementLine]) -> Iterator[StatementLine]:
    for line in lines:
        said = _squeezed((line.end_to_end_id, line.reference, line.remittance))
        ids = {found for text in said for found in _PAYOUT_REFERENCE.findall(text)}
        named = ids.pop() if len(ids) == 1 else line.end_to_end_id
        yield line if named == line.end_to_end_id else replace(line, end_to_end_id=named)


def by_our_reference(side: Side) -> list[Match]:
    """Match where a line names one reference of open subjects, as banks write references, and carries the amount.

    Several receipts under it, and several lines for one, are told apart by their days.
    """
    pairs: list[tuple[OpenLine, Subject]] = []
    for line in side.lines.values():
        fitting = [s for s in side.names_free(line.line_id) if s.amount == line.amount]
        if len({s.reference for s in fitting}) == 1 and not _names_more(side, line, fitting[0]):
            pairs += [(line, subject) for subject in fitting]
    found = [
        Match(
            lines=(line,),
            subjects=(subject,),
            rule="our_reference",
            explanation=f"the line names [{subject.reference}], and the amount is the same",
        )
        for line, subject in dates.pairs_told_apart(pairs, side.terms)
    ]
    matched = {one.match_id for one in found} | {subject.key for one in found for subject in one.subjects}
    for line, subject in pairs:
        if line.line_id not in matched and subject.key not in matched:
            side.rivals[line.line_id].add(subject.key)
    return found


def _names_more(side: Side, line: OpenLine, subject: Subject) -> bool:
    """Tell whether the line names another reference in full: then it may be a sum, and its amount a coincidence."""
    return not _is_in_full(line, subject) and any(
        other.key != subject.key and _is_in_full(line, other) for other in side.names_free(line.line_id)
    )


def _is_in_full(line: OpenLine, subject: Subject) -> bool:
    """Tell whether the line says the subject's reference in full."""
    return any(squeezed(subject.reference) in text for text in _texts(line))


def references_in(line: OpenLine, terms: Terms) -> list[str]:
    """Return everything that a line says that may be a reference as we write it."""
    said = (line.end_to_end_id, line.reference, line.bank_reference, line.remittance)
    return references_of(*said, spellings=terms.spellings)


def references_of(
    end_to_end_id: str | None,
    reference: str | None,
    bank_reference: str | None,
    remittance: str,
    *,
    spellings: Sequence[Spelling] = (),
) -> list[str]:
    """Return everything that a line says that may be a reference as we write it: to ask the books and the source for.

    A word that the bank broke or wrote in small letters is tried whole and in capitals too.
    """
    said = (end_to_end_id, reference, remittance)
    ours = [found for text in _squeezed(said) for found in _PAYOUT_REFERENCE.findall(text)]
    words = remittance.split()
    whole = [*words, *(first + second for first, second in pairwise(words))]
    ours += spelling.read(spellings, said)
    keys = (end_to_end_id, reference, bank_reference, *whole, *(word.upper() for word in whole), *ours)
    return list(dict.fromkeys(key for key in keys if key))


def squeezed(text: str) -> str:
    """Return a text in capitals and without anything but letters and digits."""
    return text.upper() if text.isalnum() else _NOT_SAID.sub("", text).upper()


class Names:
    """Which subjects a line names: their references and groups, found in the text of lines as banks mangle it."""

    def __init__(self, subjects: Sequence[Subject], terms: Terms) -> None:
        self._terms = terms
        self._whole: dict[str, list[Subject]] = defaultdict(list)
        self._groups: dict[str, list[Key]] = defaultdict(list)
        for subject in subjects:
            if subject.reference:
                self._whole[squeezed(subject.reference)].append(subject)
            if subject.group:
                self._groups[squeezed(subject.group)].append(subject.key)
        self._full = {reference for reference in self._whole if len(reference) >= SHORTEST_REFERENCE}
        self._ordered = sorted(self._full)
        self._lengths = sorted({len(reference) for reference in self._full}, reverse=True)

    def of(self, line: OpenLine) -> list[Key]:
        """Return the keys of the subjects that the line names: by reference, else by a fragment, else by group.

        The bank's number of the booking is digits that may hold any others: it names a subject only as a whole. Of the
        receipts that share a reference those are named that are near enough.
        """
        texts, number = _texts(line), squeezed(line.bank_reference or "")
        spelled = [squeezed(one) for one in spelling.read(self._terms.spellings, _said(line))]
        references = [one for one in spelled if one in self._whole] + self._references(texts, within=spelled)
        references = references or [number] * (number in self._full) or self._truncated(texts)
        keys = [key for reference in references for key in self._near(line, reference)]
        if not keys:
            keys = [key for word in _words(line) for key in self._groups.get(word, ())]
        return sorted(set(keys))

    def _near(self, line: OpenLine, reference: str) -> list[Key]:
        """Return the subjects of a reference that the line may be; of one that is not shared, its own."""
        named, most = self._whole[reference], self._terms.shared_within_days
        receipts = [subject for subject in named if subject.kind not in PAYOUT_KINDS]
        far = {
            subject.key
            for subject in receipts
            if len(receipts) > 1 and subject.on and self._terms.days_apart(subject.on, line.booking_date) > most
        }
        return [subject.key for subject in named if subject.key not in far]

    def _references(self, texts: Sequence[str], *, within: Sequence[str]) -> list[str]:
        """Return the references that stand in the texts, but not those that are part of another, longer one."""
        found: list[str] = []
        for text in texts:
            for length in self._lengths:
                for start in range(len(text) - length + 1):
                    piece = text[start : start + length]
                    if piece in self._full and not any(piece in longer for longer in (*within, *found)):
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


def _texts(line: OpenLine) -> list[str]:
    """Return what a line says, in capitals and without anything but letters and digits."""
    return _squeezed(_said(line))


def _said(line: OpenLine) -> tuple[str | None, ...]:
    return (line.end_to_end_id, line.reference, line.remittance)


def _squeezed(said: Iterable[str | None]) -> list[str]:
    return [bare for text in said if text and (bare := squeezed(text))]


def _words(line: OpenLine) -> list[str]:
    """Return the words of a line, and each two neighbours as one, for a bank may break a word."""
    words = [
        squeezed(word) for text in (line.reference, line.remittance, line.file_id) if text for word in text.split()
    ]
    return [*words, *(first + second for first, second in pairwise(words))]
