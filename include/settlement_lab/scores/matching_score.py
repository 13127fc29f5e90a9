"""How well and how fast lines are matched, measured on labelled statements as banks write them.

Every subject and every line is made from a seed together with the truth of what belongs to what; then the lines are
shuffled and matched as the product matches them. A pair of line and subject that is in the truth and found is a hit;
found and not in the truth is a false match, which must not exist; in the truth and not found is a miss. A kind whose
lines must not be matched (duplicates, foreign lines, a difference that nobody tolerates) has no pairs: its lines are
right when they are left alone.

How fast is said beside what no matching can do without: the join of the keys of lines and subjects, and nothing else.
"""

import base64
import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from settlement.domain import frames
from settlement.domain.bank import matching
from settlement.domain.bank.matching import OpenLine, Subject, SubjectKind, Terms, exact
from settlement.domain.bank.matching.model import Key
from settlement.domain.bank.matching.spelling import Spelling

FIRST = date(2026, 3, 2)
TOLERANCE = 500
INVOICES = Spelling(ours="INV-{number:07}", written=("Invoice #{number}",))
Pair = tuple[str, Key]


@dataclass
class Truth:
    """What was made: lines, subjects, and which belong together, by kind."""

    random: random.Random
    lines: list[OpenLine] = field(default_factory=list)
    subjects: list[Subject] = field(default_factory=list)
    pairs: dict[str, set[Pair]] = field(default_factory=dict)
    kind_of_line: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def amount(self) -> int:
        """Return an amount as repayments have them: many small, few large, some round."""
        amount = int(10 ** self.random.uniform(3.5, 8))
        return amount // 1000 * 1000 + 1000 if self.random.random() < 0.3 else amount

    def receipt(
        self,
        *,
        amount: int | None = None,
        loan: str | None = None,
        reference: str | None = None,
        days_before: int = 0,
    ) -> Subject:
        """Make a receipt of a loan."""
        number = next(self.numbers)
        subject = Subject(
            kind=SubjectKind.RECEIPT,
            subject_id=f"R{number:07d}",
            amount=amount or self.amount(),
            currency="KRW",
            reference=f"VA{self.random.randrange(10**9):09d}-{number:07d}" if reference is None else reference,
            on=FIRST + timedelta(days=self.random.randrange(5) - days_before),
            group=loan or f"LN-2026-{number:07d}",
        )
        self.subjects.append(subject)
        return subject

    def payout(self) -> Subject:
        """Make a payout under way."""
        number = next(self.numbers)
        digest = base64.b32encode(hashlib.sha256(f"{number}".encode()).digest()[:10]).decode()
        subject = Subject(
            kind=SubjectKind.PAYOUT,
            subject_id=f"P{number:07d}",
            amount=-self.amount(),
            currency="KRW",
            reference=f"ST20260302001{digest}",
            on=FIRST,
            account=f"110-{number:08d}",
        )
        self.subjects.append(subject)
        return subject

    def line(
        self,
        kind: str,
        amount: int,
        *subjects: Subject,
        end_to_end_id: str | None = None,
        reference: str | None = None,
        remittance: str = "",
        counterparty_account: str | None = None,
        days_later: int = 0,
    ) -> None:
        """Make a line that is these subjects, or none."""
        line = OpenLine(
            line_id=f"L{self.random.getrandbits(64):016x}",
            booking_date=(subjects[0].on or FIRST if subjects else FIRST) + timedelta(days=days_later),
            amount=amount,
            currency="KRW",
            end_to_end_id=end_to_end_id,
            reference=reference,
            remittance=remittance,
            is_return=False,
            counterparty_account=counterparty_account,
        )
        self.lines.append(line)
        self.kind_of_line[line.line_id] = kind
        self.pairs.setdefault(kind, set()).update((line.line_id, subject.key) for subject in subjects)


def _exact(truth: Truth) -> None:
    if truth.random.random() < 0.5:
        payout = truth.payout()
        truth.line("exact", payout.amount, payout, end_to_end_id=payout.reference)
    else:
        receipt = truth.receipt()
        truth.line("exact", receipt.amount, receipt, reference=receipt.reference)


def _wrapped(truth: Truth) -> None:
    subject = truth.payout() if truth.random.random() < 0.5 else truth.receipt()
    at = truth.random.randrange(6, len(subject.reference) - 2)
    broken = truth.random.choice(("\n", " ", "\n ", " - ")).join((subject.reference[:at], subject.reference[at:]))
    said = broken.lower() if truth.random.random() < 0.5 else broken
    truth.line("wrapped", subject.amount, subject, remittance=f"{truth.random.choice(('REF ', '상환 ', ''))}{said}")


def _truncated(truth: Truth) -> None:
    subject = truth.payout() if truth.random.random() < 0.5 else truth.receipt()
    least = 20 if subject.kind is SubjectKind.PAYOUT else 11
    kept = subject.reference[: truth.random.randrange(least, len(subject.reference))]
    truth.line("truncated", subject.amount, subject, remittance=f"INV {kept}")


def _split(truth: Truth) -> None:
    receipt = truth.receipt()
    first = receipt.amount * truth.random.randrange(20, 80) // 100
    for part in (first, receipt.amount - first):
        truth.line("split", part, receipt, reference=receipt.reference)


def _batch(truth: Truth) -> None:
    loan = f"LN-2026-B{next(truth.numbers):06d}"
    receipts = [truth.receipt(loan=loan) for _ in range(truth.random.randrange(2, 8))]
    truth.line("batch", sum(r.amount for r in receipts), *receipts, remittance=f"{loan} 일괄")


def _several(truth: Truth) -> None:
    loan = f"LN-2026-M{next(truth.numbers):06d}"
    receipts = [truth.receipt(loan=loan) for _ in range(3)]
    total, first = sum(r.amount for r in receipts), receipts[0].amount // 2
    for part in (first, total - first):
        truth.line("several_for_several", part, *receipts, remittance=loan)


def _fee(truth: Truth) -> None:
    receipt = truth.receipt()
    truth.line("fee_deducted", receipt.amount - truth.random.choice((200, 500)), receipt, reference=receipt.reference)


def _batch_fee(truth: Truth) -> None:
    loan = f"LN-2026-F{next(truth.numbers):06d}"
    receipts = [truth.receipt(loan=loan) for _ in range(truth.random.randrange(2, 8))]
    total = sum(r.amount for r in receipts)
    truth.line("batch_less_fee", total - truth.random.choice((99, 500)), *receipts, remittance=f"{loan} 일괄")


def _virtual(truth: Truth) -> None:
    """An instalment by a virtual account, whose former one no statement has shown."""
    former = truth.receipt(days_before=31)
    receipt = truth.receipt(amount=former.amount, reference=former.reference)
    truth.line("virtual_account", receipt.amount, receipt, reference=receipt.reference)


def _twice(truth: Truth) -> None:
    """A receipt, and a line of days before that says the same."""
    receipt = truth.receipt()
    truth.line("exact", receipt.amount, receipt, reference=receipt.reference)
    truth.line("duplicate", receipt.amount, reference=receipt.reference, days_later=-4)


def _unreferenced(truth: Truth) -> None:
    """A receipt without a reference, and a line of the same amount about something else."""
    receipt = truth.receipt(reference="")
    truth.line("foreign", receipt.amount, remittance=f"RENT-{truth.random.randrange(10**6):06d}")


def _invoice(truth: Truth) -> None:
    number = next(truth.numbers)
    receipt = truth.receipt(reference=f"INV-{number:07d}")
    said = truth.random.choice((f"INV-{number}", f"Invoice #{number}", f"inv {number:05d} 상환"))
    truth.line("as_payers_write", receipt.amount, receipt, remittance=said)


def _account(truth: Truth) -> None:
    payout = truth.payout()
    truth.line("amount_and_account", payout.amount, payout, counterparty_account=payout.account, days_later=1)


def _duplicate(truth: Truth) -> None:
    receipt = truth.receipt()
    truth.line("exact", receipt.amount, receipt, reference=receipt.reference)
    truth.line("duplicate", receipt.amount, reference=receipt.reference, days_later=9)


def _missing(truth: Truth) -> None:
    truth.receipt()


def _foreign(truth: Truth) -> None:
    amount = truth.random.choice(truth.subjects).amount if truth.subjects else truth.amount()
    word = f"RENT-{truth.random.randrange(10**6):06d}"
    said: Mapping[str, Any] = truth.random.choice(({"reference": word}, {"remittance": word}, {"end_to_end_id": word}))
    truth.line("foreign", amount, **said)


def _differs(truth: Truth) -> None:
    receipt = truth.receipt()
    truth.line("amount_differs", receipt.amount + TOLERANCE + 1, reference=receipt.reference)


KINDS: tuple[tuple[int, Callable[[Truth], None]], ...] = (
    (55, _exact),
    (10, _wrapped),
    (6, _truncated),
    (4, _split),
    (4, _batch),
    (3, _several),
    (4, _fee),
    (3, _account),
    (3, _duplicate),
    (3, _missing),
    (4, _foreign),
    (1, _differs),
    (3, _batch_fee),
    (4, _virtual),
    (2, _twice),
    (2, _unreferenced),
    (3, _invoice),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Of one kind: how many pairs there were, were found and were found wrongly, and lines rightly left alone."""

    kind: str
    lines: int
    pairs: int
    found: int
    false: int

    @property
    def precision(self) -> float:
        """Found pairs that are true, of those found."""
        return 1.0 if not self.found + self.false else self.found / (self.found + self.false)

    @property
    def recall(self) -> float:
        """True pairs that were found, of those there are."""
        return 1.0 if not self.pairs else self.found / self.pairs


def make(*, seed: int, lines: int) -> Truth:
    """Return labelled subjects and at least this many lines, in an order that says nothing."""
    truth = Truth(random=random.Random(seed))  # noqa: S311 - a simulation
    makers = [make for weight, make in KINDS for _ in range(weight)]
    while len(truth.lines) < lines:
        truth.random.choice(makers)(truth)
    truth.random.shuffle(truth.lines)
    truth.random.shuffle(truth.subjects)
    return truth


def score(*, seed: int, lines: int) -> list[Score]:
    """Return the score by kind, and of all kinds together as the last."""
    truth = make(seed=seed, lines=lines)
    terms = Terms(tolerance={"KRW": TOLERANCE}, within_days=3, spellings=(INVOICES,))
    statement = frames.build(frames.OPEN_LINES, map(asdict, truth.lines))
    books = frames.build(frames.SUBJECTS, map(asdict, truth.subjects))
    matches, _ = matching.match(statement, books, terms=terms)
    found = set(_pairs(matches))
    scores = []
    for kind, pairs in sorted(truth.pairs.items()):
        ours = {pair for pair in found if truth.kind_of_line[pair[0]] == kind}
        scores.append(
            Score(
                kind=kind,
                lines=sum(of == kind for of in truth.kind_of_line.values()),
                pairs=len(pairs),
                found=len(ours & pairs),
                false=len(ours - pairs),
            )
        )
    return [
        *scores,
        Score(
            kind="all",
            lines=len(truth.lines),
            pairs=sum(s.pairs for s in scores),
            found=sum(s.found for s in scores),
            false=sum(s.false for s in scores),
        ),
    ]


def _pairs(matches: pd.DataFrame) -> Iterator[Pair]:
    """Yield every line of a match (frame `MATCHES`) with every subject of it."""
    key = ("subject_kind", "subject_id", "occurrence")
    both = matches[["match_id", "line_id"]].merge(matches[["match_id", *key]], on="match_id")
    return ((line_id, (kind, of, time)) for line_id, kind, of, time in frames.rows(both, "line_id", *key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What it costs to match exact lines, in seconds of processor time, beside the join of their keys alone."""

    lines: int
    matched: int
    join_seconds: float
    match_seconds: float

    @property
    def ratio(self) -> float:
        """How many times the join alone."""
        return self.match_seconds / self.join_seconds


def speed(*, lines: int, seed: int = 1, repeats: int = 3) -> Speed:
    """Match this many exact lines, half receipts and half payouts, each best of some repeats."""
    statement, books = _exact_day(lines, seed=seed)
    keys = statement["end_to_end_id"].fillna(statement["reference"]).to_frame("reference").reset_index(names="line")
    asked = books[["reference"]].reset_index(names="subject")
    joined = [_seconds(lambda: keys.merge(asked, how="inner", on="reference")) for _ in range(repeats)]
    matched = [_seconds(lambda: exact.exactly(statement, books)) for _ in range(repeats)]
    return Speed(lines=lines, matched=matched[0][1], join_seconds=min(joined)[0], match_seconds=min(matched)[0])


def _exact_day(lines: int, *, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns of as many lines and subjects that are each other's, in orders that say nothing."""
    generator = np.random.default_rng(seed)
    numbers = np.arange(lines)
    is_payout = numbers % 2 == 1
    letters = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", dtype="S1")
    digests = generator.choice(letters, (lines, 16)).view("S16").ravel().astype(str)
    virtual = np.char.mod("VA%09d", generator.integers(0, 10**9, lines)).astype(object)
    receipts = virtual + np.char.mod("-%07d", numbers).astype(object)
    references = np.where(is_payout, np.char.add("ST20260302001", digests).astype(object), receipts)
    amounts = np.where(is_payout, -1, 1) * generator.integers(1, 10**8, lines)
    books = pd.DataFrame(
        {
            "kind": pd.Series(np.where(is_payout, SubjectKind.PAYOUT, SubjectKind.RECEIPT), dtype="str"),
            "amount": amounts,
            "currency": pd.Series("KRW", index=numbers, dtype="str"),
            "reference": pd.Series(references, dtype="str"),
        }
    )
    statement = pd.DataFrame(
        {
            "line_id": pd.Series(np.char.mod("L%016d", generator.permutation(lines)), dtype="str"),
            "booking_date": pd.Series(np.datetime64(FIRST, "s"), index=numbers),
            "amount": amounts,
            "currency": books["currency"],
            "end_to_end_id": books["reference"].where(is_payout),
            "reference": books["reference"].where(~is_payout),
            "bank_reference": pd.Series(np.char.mod("2026030200%08d", numbers), dtype="str"),
            "remittance": pd.Series("", index=numbers, dtype="str"),
            "counterparty_account": pd.Series(None, index=numbers, dtype="str"),
        }
    )
    return (
        statement.sort_values("line_id", ignore_index=True),
        books.sample(frac=1, random_state=seed, ignore_index=True),
    )


def _seconds(work: Callable[[], pd.DataFrame]) -> tuple[float, int]:
    began = time.process_time()
    rows = len(work())
    return time.process_time() - began, rows
