"""The frames that cross from one step of a settlement day to the next: their grain, keys, columns and dtypes.

What enters the arithmetic is one `Inputs`, already limited to the loans with money in the run and free of names and
accounts; what leaves it is one `Outcome`. Payouts travel as frames from the balances to their end, and so do the
payments of a file, statement lines and what they are matched with. Every frame has a `Spec` here, with one line of
meaning for each column. `check(frame, spec)` is called at the boundary and gives errors that name the frame, the
column, the row's key and the rule.

Dtypes. Money is int64 in minor units. Text is pandas `str`; wherever text is asked for, a categorical over `str` is
as good, and cheaper on large frames. Dates are `datetime64[s]` at midnight, without a zone; instants are
`datetime64[us, UTC]`; a missing text, date or number is null. Row order of the inputs carries no meaning (but frames
in the bytewise order of their keys are settled fastest); rows of the outcome are in an order that follows from their
content alone: by loan, then in the order of the run.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from settlement.domain.errors import InvalidFrame

FIRST_SECOND, LAST_SECOND = (int(np.datetime64(day, "s").astype(np.int64)) for day in (date.min, date.max))
"""Outside them lie no dates, but PostgreSQL's infinities."""


class Kind(StrEnum):
    """What a column holds; the value is its pandas dtype."""

    TEXT = "str"
    AMOUNT = "int64"
    DATE = "datetime64[s]"
    INSTANT = "datetime64[us, UTC]"
    FLAG = "bool"
    NUMBER = "Int64"


DTYPES: Mapping[Kind, Any] = {kind: pd.api.types.pandas_dtype(kind.value) for kind in Kind}

TEXTS: Any = pd.arrays.ArrowStringArray
"""The array that `Kind.TEXT` names, made of Arrow's: pandas' own types do not tell that it takes a dtype."""

NEVER_NULL = (Kind.AMOUNT, Kind.FLAG)
"""The kinds whose dtype has no null."""

LONGEST_ID = 140
"""Characters of an id of the source: three of them still fit into one key of the books, whatever they are."""

LONGEST_TOLD = 40
"""Characters of a value that a refusal tells."""

FEW_ROWS = 100
"""Up to so many, keys are told apart one by one: looking at whole columns costs more than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its dtype, what it means and what its values must satisfy.

    One that `came_later` than days that are settled by now is not hashed where it has nothing but 0.
    """

    name: str
    kind: Kind
    meaning: str
    is_nullable: bool = False
    at_least: int | None = None
    longest: int | None = None
    one_of: tuple[str, ...] | None = None
    came_later: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spec:
    """A frame's name, grain, key and columns.

    One that `came_later` than days that are settled by now is neither kept nor hashed where it has no rows: a day that
    has none of them is the same, byte for byte, whoever settled it.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    came_later: bool = False

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]


def _text(name: str, meaning: str, **rules: Any) -> Column:
    return Column(name=name, kind=Kind.TEXT, meaning=meaning, **rules)


def _id(name: str, meaning: str, **rules: Any) -> Column:
    return _text(name, meaning, longest=LONGEST_ID, **rules)


def _amount(name: str, meaning: str, **rules: Any) -> Column:
    return Column(name=name, kind=Kind.AMOUNT, meaning=meaning, **rules)


def _date(name: str, meaning: str, **rules: Any) -> Column:
    return Column(name=name, kind=Kind.DATE, meaning=meaning, **rules)


def _instant(name: str, meaning: str, **rules: Any) -> Column:
    return Column(name=name, kind=Kind.INSTANT, meaning=meaning, **rules)


def _flag(name: str, meaning: str) -> Column:
    return Column(name=name, kind=Kind.FLAG, meaning=meaning)


def _number(name: str, meaning: str) -> Column:
    return Column(name=name, kind=Kind.NUMBER, meaning=meaning, is_nullable=True)


# --- what a lender is taken over with ------------------------------------------------------------------------------

OPENING = Spec(
    name="opening positions",
    grain="One row per row of the optional relation, with what the source says of the subject that it names.",
    key=("row",),
    columns=(
        _amount("row", "its number: contradictory rows may be the same"),
        _text("kind", "as `books.opening.OpeningKind`; anything else is contradictory"),
        _text("subject_id", "what it is about; empty where it is one account"),
        _text("currency", "ISO 4217"),
        _amount("amount", "what stands; 0 where the source says none"),
        _text("loan_id", "the loan that it says something of, if the source has it", is_nullable=True),
        _text("loan_currency", "its currency", is_nullable=True),
        _flag("is_known", "whether the source has its note, receivable, loan, repayment or investor"),
        _amount("most", "a note's principal, the amount of a receivable or a repayment; else 0"),
        _instant("received_at", "when its repayment came", is_nullable=True),
        _flag("is_undone", "its repayment is a reversal, or was reversed before the first window"),
        _flag("is_named_so", "the source has a repayment of the name that the credit would bear"),
    ),
)

# --- what comes in -----------------------------------------------------------------------------------------------

LOANS = Spec(
    name="loans",
    grain="One row per loan with money in the run.",
    key=("loan_id",),
    columns=(
        _id("loan_id", "the loan"),
        _text("currency", "ISO 4217; all its money is in it", longest=LONGEST_ID),
        _date("disbursed_on", "when the borrower got the money; chooses the withholding rule"),
    ),
)

NOTES = Spec(
    name="notes",
    grain="One row per note of those loans.",
    key=("note_id",),
    columns=(
        _id("note_id", "the note; the lowest id wins ties"),
        _id("loan_id", "its loan; must be in loans"),
        _amount("principal", "its original principal", at_least=1),
        _amount("outstanding", "principal less its principal shares so far, net of reversals; below 0 weighs 0"),
    ),
)

HOLDINGS = Spec(
    name="holdings",
    grain="One row per period in which one investor holds one of those notes.",
    key=("note_id", "held_from"),
    columns=(
        _id("note_id", "the note; must be in notes"),
        _id("investor_id", "who holds it"),
        _date("held_from", "first day"),
        _date("held_until_exclusive", "first day no longer; null: still held", is_nullable=True),
    ),
)

INVESTORS = Spec(
    name="investors",
    grain="One row per holder that the source knows; a holder who is missing here is unknown.",
    key=("investor_id",),
    columns=(
        _id("investor_id", "the investor"),
        _text("tax_class", "a key of the withholding table, as frozen with the day"),
    ),
)

RECEIVABLES = Spec(
    name="receivables",
    grain="One row per amount that the borrower of one of those loans owes or has paid, whenever it falls due.",
    key=("receivable_id",),
    columns=(
        _id("receivable_id", "the receivable"),
        _id("loan_id", "its loan; must be in loans"),
        _amount("installment_no", "number of the instalment"),
        _text("component", "cost, late_interest, interest or principal; anything else quarantines the loan"),
        _date("due_on", "when it falls due"),
        _amount("amount", "what is owed", at_least=0),
        _amount("allocated", "allocations to it so far, net of reversals"),
    ),
)

REPAYMENTS = Spec(
    name="repayments",
    grain="One row per repayment or reversal that the run takes: the window's, late arrivals, and quarantined ones.",
    key=("repayment_id",),
    columns=(
        _id("repayment_id", "the repayment or reversal"),
        _id("loan_id", "its loan; one that is not in loans is an orphan"),
        _instant("received_at", "when the money came; with repayment_id the order of the run"),
        _amount("amount", "what came, or what the reversal undoes", at_least=1),
        _id("reverses_repayment_id", "set on a reversal: the repayment it undoes", is_nullable=True),
        _text(
            "state",
            "new, or quarantined: an earlier run extracted and quarantined it (a reversal: quarantined as bad); or "
            "extracted: the opening booked its money, and no run has taken it",
            one_of=("new", "quarantined", "extracted"),
        ),
    ),
)

CREDITS = Spec(
    name="credits",
    grain="One row per repayment of which something is still held on its loan, before the run.",
    key=("repayment_id",),
    columns=(
        _text("loan_id", "the loan; must be in loans"),
        _text("repayment_id", "whose money it is"),
        _instant("received_at", "when that repayment came; its record date follows from it"),
        _amount("amount", "what is still held", at_least=1),
        _amount("position", "the order in which credits came to be held: settlement date, then order in the run"),
    ),
)

REFUNDS = Spec(
    name="refunds",
    grain="One row per refund requested before the end of the window that no run has taken so far.",
    key=("refund_id",),
    came_later=True,
    columns=(
        _text("refund_id", "the instruction"),
        _text("loan_id", "the loan whose held credit is to go back"),
        _text("currency", "as the instruction says; another one than the loan's refuses it"),
        _amount("amount", "what is to go back", at_least=1),
        _instant("requested_at", "when; with refund_id the order of the run"),
        _text("state", "new, or refused: by an earlier run", one_of=("new", "refused")),
    ),
)

ORIGINALS = Spec(
    name="originals",
    grain="One row per existing repayment that a reversal of the run names, wherever it stands.",
    key=("repayment_id",),
    columns=(
        _text("repayment_id", "the repayment named by a reversal"),
        _text("loan_id", "its loan"),
        _amount("amount", "its amount", at_least=1),
        _flag("is_reversal", "it is itself a reversal"),
        _flag("is_reversed", "an earlier run took a reversal of it that was good"),
        _text(
            "state",
            "before the run: settled, quarantined or cancelled by an earlier run, or unsettled; extracted: unsettled, "
            "and its money booked by the opening; before_opening: settled elsewhere, by whom the lender was taken over",
            one_of=("settled", "quarantined", "cancelled", "unsettled", "extracted", "before_opening"),
        ),
    ),
)

PRIOR_ALLOCATIONS = Spec(
    name="prior_allocations",
    grain="One row per allocation that earlier runs made of an original that is settled.",
    key=("allocation_id",),
    columns=(
        _amount("allocation_id", "any number that tells the rows apart; ties prior_shares to it"),
        _text("repayment_id", "the original"),
        _text("loan_id", "its loan"),
        _text("receivable_id", "what it paid"),
        _text("currency", "the currency"),
        _text("component", "the component"),
        _amount("amount", "what it paid"),
    ),
)

SHARE_AMOUNTS = (
    _amount("gross_amount", "the note's part of the allocation"),
    _amount("fee_amount", "all fees on it"),
    _amount("vat_amount", "all VAT on those fees"),
    _amount("national_tax_amount", "national withholding tax"),
    _amount("local_tax_amount", "local withholding tax"),
    _amount("net_amount", "gross less the four: what the investor is owed"),
)

PRIOR_SHARES = Spec(
    name="prior_shares",
    grain="One row per share of those allocations.",
    key=("allocation_id", "note_id"),
    columns=(
        _amount("allocation_id", "the allocation it is a part of"),
        _text("note_id", "the note"),
        _text("investor_id", "who got it"),
        *SHARE_AMOUNTS,
    ),
)

PRIOR_ENTRIES = Spec(
    name="prior_entries",
    grain="One row per posting of the entries of an original: extracted, distributed, applied, refunded.",
    key=("entry_id", "account"),
    columns=(
        _amount("entry_id", "the entry; also of originals that are only quarantined: their repayment_extracted"),
        _text(
            "event",
            "of the entry",
            one_of=(
                "repayment_extracted",
                "repayment_distributed",
                "credit_applied",
                "refund_ordered",
                "refund_undone",
            ),
        ),
        _text("repayment_id", "the original"),
        _text("account", "the account"),
        _text("currency", "the currency"),
        _amount("amount", "debit positive"),
    ),
)

BOOKED_ENTRIES = Spec(
    name="booked_entries",
    grain="One row per posting of the entries that a settlement date has so far for some loans, without undone ones.",
    key=("entry_id", "account"),
    columns=(
        _amount("entry_id", "the entry"),
        _text("event", "as in `ENTRIES`"),
        _text("loan_id", "the loan"),
        _text("currency", "the currency of all its postings"),
        _text("repayment_id", "whose money it moves; of repayment_reversed: the reversal"),
        _number("reverses_entry_id", "the entry that it reverses, of this date or an earlier one"),
        _text("account", "the account"),
        _amount("amount", "debit positive"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that one settlement day is computed from, besides the policy and the date."""

    loans: pd.DataFrame
    notes: pd.DataFrame
    holdings: pd.DataFrame
    investors: pd.DataFrame
    receivables: pd.DataFrame
    repayments: pd.DataFrame
    credits: pd.DataFrame
    refunds: pd.DataFrame
    originals: pd.DataFrame
    prior_allocations: pd.DataFrame
    prior_shares: pd.DataFrame
    prior_entries: pd.DataFrame


INPUTS: Mapping[str, Spec] = {
    spec.name: spec
    for spec in (
        LOANS,
        NOTES,
        HOLDINGS,
        INVESTORS,
        RECEIVABLES,
        REPAYMENTS,
        CREDITS,
        REFUNDS,
        ORIGINALS,
        PRIOR_ALLOCATIONS,
        PRIOR_SHARES,
        PRIOR_ENTRIES,
    )
}

# --- what goes out -----------------------------------------------------------------------------------------------

OUTCOMES = ("settled", "quarantined", "cancelled", "reversal", "refused")

SETTLED_REPAYMENTS = Spec(
    name="repayments",
    grain="One row per repayment or reversal that the run took, and per one that it cancelled before its own run.",
    key=("repayment_id",),
    columns=(
        _text("repayment_id", "the repayment or reversal"),
        _text("loan_id", "its loan, as it names it"),
        _text("currency", "of the loan; null only for what is refused", is_nullable=True),
        _amount("amount", "as in the source, positive"),
        _text("reverses_repayment_id", "set on a reversal", is_nullable=True),
        _text(
            "outcome",
            "settled (also if reversed later in the run); quarantined (for the first time or still); cancelled (an "
            "original never settled, and its reversal); reversal (applied to settled rows); refused (not extracted)",
            one_of=OUTCOMES,
        ),
        _flag("is_extracted_now", "this run makes its repayment_extracted entry"),
        _amount("held_amount", "what of it is held when the run ends", at_least=0),
    ),
)

ALLOCATIONS = Spec(
    name="allocations",
    grain="One row per allocation of the run; a reversal's are the negated rows of what it undoes.",
    key=("allocation_no",),
    columns=(
        _amount("allocation_no", "1, 2, 3 … by loan and order in the run, without gaps", at_least=1),
        _text("repayment_id", "the repayment whose money it is, or the reversal"),
        _text("loan_id", "the loan"),
        _text("receivable_id", "what it pays"),
        _text("currency", "the currency"),
        _text("component", "the component"),
        _amount("amount", "never 0"),
    ),
)

SHARES = Spec(
    name="shares",
    grain="One row per share of those allocations, in order of allocation_no and note_id; `widen` adds the other keys.",
    key=("allocation_no", "note_id"),
    columns=(
        _amount("allocation_no", "the allocation it is a part of"),
        _text("note_id", "the note (categorical)"),
        _text("investor_id", "who held it on the record date (categorical)"),
        *SHARE_AMOUNTS,
    ),
)

CREDIT_CHANGES = Spec(
    name="credits",
    grain="One row per change of a held credit, in the order of the run.",
    key=("repayment_id", "event"),
    columns=(
        _text("loan_id", "the loan"),
        _text("repayment_id", "whose money is held"),
        _text("currency", "the currency"),
        _amount("amount", "held positive; applied, taken_back and refunded negative; never 0"),
        _text("event", "what happened", one_of=("held", "applied", "taken_back", "refunded")),
    ),
)

TAKEN_REFUNDS = Spec(
    name="refunds",
    grain="One row per refund that the run takes, in the order of the run.",
    key=("refund_id",),
    came_later=True,
    columns=(
        _text("refund_id", "the instruction"),
        _text("loan_id", "the loan whose held credit goes back"),
        _text("currency", "the currency"),
        _amount("amount", "what goes back", at_least=1),
    ),
)

REFUSED_REFUNDS = Spec(
    name="refused_refunds",
    grain="One row per refund that this run refuses for the first time.",
    key=("refund_id",),
    came_later=True,
    columns=(
        _text("refund_id", "the instruction"),
        _text("loan_id", "the loan that it names"),
        _text("currency", "as the instruction says"),
        _amount("amount", "as the instruction says; in no total", at_least=1),
        _text("rule", "why"),
        _text("evidence", "JSON: the rows that prove it"),
    ),
)

QUARANTINE = Spec(
    name="quarantine",
    grain="One row per repayment or bad reversal that this run quarantines for the first time.",
    key=("repayment_id",),
    columns=(
        _text("loan_id", "the loan"),
        _text("repayment_id", "what is kept back"),
        _text("currency", "the currency"),
        _amount("amount", "as in the source; a bad reversal's is in no total"),
        _text("rule", "why"),
        _text("evidence", "JSON: the rows that prove it"),
    ),
)

RELEASED = Spec(
    name="released",
    grain="One row per repayment whose quarantine row, of an earlier run or of this one, ends with this run.",
    key=("repayment_id",),
    columns=(_text("repayment_id", "settled, cancelled, or a reversal that is good now"),),
)

ENTRIES = Spec(
    name="entries",
    grain="One row per journal entry of the run.",
    key=("entry_no",),
    columns=(
        _amount("entry_no", "1, 2, 3 … in the order of the run", at_least=1),
        _text("event", "repayment_extracted, _distributed or _reversed, credit_applied or refund_ordered"),
        _text("loan_id", "the loan"),
        _text("currency", "the currency of all its postings"),
        _text("repayment_id", "whose money it moves; of repayment_reversed: the reversal"),
        _number("reverses_entry_id", "the entry of an earlier run that it reverses"),
        _number("reverses_entry_no", "the entry of this run that it reverses"),
    ),
)

POSTINGS = Spec(
    name="postings",
    grain="One row per posting of those entries, in order of entry_no and account.",
    key=("entry_no", "account"),
    columns=(
        _amount("entry_no", "its entry"),
        _text("account", "the account (categorical)"),
        _amount("amount", "debit positive; never 0"),
    ),
)

BREAKS = Spec(
    name="breaks",
    grain="One row per break that the run finds; found again by every run that still sees it, opened once by the book.",
    key=("cause", "subject_kind", "subject_id"),
    columns=(
        _text(
            "cause",
            "why",
            one_of=(
                "overpaid",
                "quarantined",
                "bad_reversal",
                "before_opening",
                "orphan_repayment",
                "refund_exceeds_credit",
            ),
        ),
        _text("subject_kind", "what it is about", one_of=("loan", "repayment", "refund")),
        _text("subject_id", "its id"),
        _text("currency", "null only for an orphan", is_nullable=True),
        _amount("amount", "the money concerned, positive"),
        _text("evidence", "JSON: the rows that prove it"),
    ),
)

TOTALS = Spec(
    name="totals",
    grain="One row per currency of the run's loans; received is the sum of the nine amounts after it.",
    key=("currency",),
    columns=(
        _text("currency", "the currency"),
        _amount("repayment_count", "source rows that move received_amount: what is extracted, and what undoes it"),
        _amount("received_amount", "repayments extracted now less extracted repayments reversed or cancelled now"),
        _amount("distributed_amount", "net to investors"),
        _amount("fee_amount", "fees"),
        _amount("vat_amount", "VAT on fees"),
        _amount("national_tax_amount", "national withholding tax"),
        _amount("local_tax_amount", "local withholding tax"),
        _amount("cost_amount", "costs recovered"),
        _amount("credit_amount", "change of held credits"),
        _amount("quarantined_amount", "change of what is quarantined"),
        _amount(
            "refunded_amount",
            "held credits that go back to borrowers, less what reversals undo of them",
            came_later=True,
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that follows from one settlement day's inputs."""

    repayments: pd.DataFrame
    allocations: pd.DataFrame
    shares: pd.DataFrame
    credits: pd.DataFrame
    refunds: pd.DataFrame
    refused_refunds: pd.DataFrame
    quarantine: pd.DataFrame
    released: pd.DataFrame
    entries: pd.DataFrame
    postings: pd.DataFrame
    breaks: pd.DataFrame
    totals: pd.DataFrame


OUTCOME: Mapping[str, Spec] = {
    spec.name: spec
    for spec in (
        SETTLED_REPAYMENTS,
        ALLOCATIONS,
        SHARES,
        CREDIT_CHANGES,
        TAKEN_REFUNDS,
        REFUSED_REFUNDS,
        QUARANTINE,
        RELEASED,
        ENTRIES,
        POSTINGS,
        BREAKS,
        TOTALS,
    )
}

# --- what is owed and paid ---------------------------------------------------------------------------------------

_PAYEE = (
    _text("payee_kind", "as `books.accounts.PayeeKind`"),
    _text("payee_id", "the investor, or the refund that names its borrower"),
)

PAYABLES = Spec(
    name="payables",
    grain="One row per payee and currency with a balance.",
    key=("payee_kind", "payee_id", "currency"),
    columns=(
        *_PAYEE,
        _text("currency", "ISO 4217"),
        _amount("amount", "what is owed; below zero: overdrawn"),
        _amount("attempt", "the number of the attempt that a payout of it would be", at_least=1),
    ),
)

PAYEES = Spec(
    name="payees",
    grain="One row per payee whom the source knows. Personal data: kept with the payout, shown nowhere.",
    key=("payee_kind", "payee_id"),
    columns=(
        *_PAYEE,
        _text("name", "whom the bank pays"),
        _text("status", "active, or frozen: owed and never paid out"),
        _text("account", "IBAN or domestic account number", is_nullable=True),
        _text("bank", "BIC or clearing member; null with an IBAN", is_nullable=True),
    ),
)

SLOTS = Spec(
    name="slots",
    grain="One row per chunk that a day and revision has for a payee and currency.",
    key=("payee_kind", "payee_id", "currency", "chunk"),
    columns=(
        *_PAYEE,
        _text("currency", "ISO 4217"),
        _amount("chunk", "its number, from 1", at_least=1),
        _amount("attempt", "its newest attempt", at_least=1),
        _flag("is_free", "whether every attempt is proven unpaid"),
    ),
)

REFUSED_ACCOUNTS = Spec(
    name="refused accounts",
    grain="One row per account of a payee that a bank refused for good.",
    key=("payee_kind", "payee_id", "account", "bank"),
    columns=(
        *_PAYEE,
        _text("account", "the account"),
        _text("bank", "its bank, or empty"),
    ),
)

_PAYOUT = (
    _text("payout_id", "date, revision, payee, currency, chunk and attempt"),
    _text("end_to_end_id", "its id at the bank, for life"),
    *_PAYEE,
    _text("currency", "ISO 4217"),
    _amount("chunk", "which part of the balance it is, from 1", at_least=1),
    _amount("attempt", "which try it is, from 1", at_least=1),
    _amount("amount", "what is paid", at_least=1),
    _text("payee_name", "personal data"),
    _text("payee_account", "personal data"),
    _text("payee_bank", "BIC or clearing member; null with an IBAN", is_nullable=True),
)

NEW_PAYOUTS = Spec(
    name="new payouts",
    grain="One row per payment to be made, in the order of (payee_kind, payee_id, currency, chunk).",
    key=("payout_id",),
    columns=_PAYOUT,
)

HOLDS = Spec(
    name="holds",
    grain="One row per balance that is owed and not paid now.",
    key=("payee_kind", "payee_id", "currency"),
    columns=(
        *_PAYEE,
        _text("currency", "ISO 4217"),
        _amount("amount", "what is owed", at_least=1),
        _text("reason", "why it is not paid now (rules, section 7)"),
    ),
)

PAYOUTS = Spec(
    name="payouts",
    grain="One row per payout of the books, in the order of (settlement_date, payout_id).",
    key=("payout_id",),
    columns=(
        *_PAYOUT,
        _date("settlement_date", "the day that prepared it"),
        _amount("revision", "the revision of that day", at_least=1),
        _text("state", "as `payments.state.PayoutState`"),
        _text("file_id", "the payment file that it stands in", is_nullable=True),
        _text("bank_reason", "why the bank did not pay it", is_nullable=True),
        _instant("submitted_at", "when it was handed over first", is_nullable=True),
        _date("booked_on", "the date of the statement line that shows it", is_nullable=True),
    ),
)

EVIDENCE = Spec(
    name="evidence",
    grain="One row per payout, in the order of payout_id: what is known of it (see `payments.evidence`).",
    key=("payout_id",),
    columns=(
        _text("payout_id", "the payout"),
        *_PAYEE,
        _date("settlement_date", "the day that prepared it"),
        _text("currency", "ISO 4217"),
        _amount("amount", "what is paid", at_least=1),
        _text("state", "where it stands, as `payments.state.PayoutState`"),
        _instant("submitted_at", "when it was handed over first", is_nullable=True),
        _amount("debits", "how often statements show it leaving", at_least=0),
        _amount("credits", "how often statements show it coming back", at_least=0),
        _amount("explained_debits", "how many of its debits a person booked elsewhere", at_least=0),
        _amount("explained_credits", "how many of its credits", at_least=0),
        _amount("matched_debits", "how many of its debits are matched with it", at_least=0),
        _amount("matched_credits", "how many of its credits", at_least=0),
        _flag("is_return_announced", "the bank says that it gives it back"),
        _flag("is_unpaid", "it is proven not to have been paid, as long as no statement shows it"),
        _date("booked_on", "the date of its first debit", is_nullable=True),
        _text("debit_line", "a line that shows it leaving", is_nullable=True),
        _text("credit_line", "a line that shows it coming back", is_nullable=True),
        _text("credit_reason", "why it came back, by that line", is_nullable=True),
        _text("return_said", "what the announcement of its return says, as JSON", is_nullable=True),
        _text("rejection_said", "what proves that it was not paid, as JSON", is_nullable=True),
    ),
)

# --- what is said to a bank and what it says ---------------------------------------------------------------------

PAYMENTS = Spec(
    name="payments",
    grain="One row per credit transfer of a payment file, in the order in which they stand in it.",
    key=("end_to_end_id",),
    columns=(
        _text("end_to_end_id", "its id at the bank, for life"),
        _amount("amount", "what is paid", at_least=1),
        _text("payee_name", "personal data"),
        _text("payee_account", "personal data"),
        _text("payee_bank", "BIC or clearing member; null with an IBAN", is_nullable=True),
        _text("remittance", "what the payee reads; may be empty"),
    ),
)

PAYMENT_STATUSES = Spec(
    name="payment statuses",
    grain="One row per payment that a status report names, in its order.",
    key=("end_to_end_id",),
    columns=(
        _text("end_to_end_id", "the payment"),
        _text("status", "ExternalPaymentTransactionStatus1Code: accepted, rejected, or still open"),
        _text("reason", "why, where the bank says it", is_nullable=True),
        _text("text", "what else it says; may be empty"),
    ),
)

# --- what a statement shows, and what it is ----------------------------------------------------------------------

OPEN_LINES = Spec(
    name="open lines",
    grain="One row per statement line that is not matched yet.",
    key=("line_id",),
    columns=(
        _text("line_id", "the line"),
        _date("booking_date", "when the bank booked it"),
        _amount("amount", "a credit is positive"),
        _text("currency", "ISO 4217"),
        _text("end_to_end_id", "what the bank says is the payer's id", is_nullable=True),
        _text("reference", "what the bank says is the payer's reference", is_nullable=True),
        _text("remittance", "what else it says; may be empty"),
        _flag("is_return", "whether the bank marks it as a payment that came back"),
        _text("reason", "why it came back", is_nullable=True),
        _flag("is_suspended", "whether an earlier run booked it to suspense"),
        _flag("is_charge", "whether the bank marks it as a charge of its own"),
        _text("bank_code", "the bank's code of the kind of movement; may be empty"),
        _text("file_id", "the payment file that it names", is_nullable=True),
        _text("counterparty_account", "personal data", is_nullable=True),
        _text(
            "bank_reference", "the bank's own number of the booking, by which the source may know it", is_nullable=True
        ),
    ),
)

SUBJECTS = Spec(
    name="subjects",
    grain="One row per movement of a receipt or a payout that a statement line may turn out to be.",
    key=("kind", "subject_id", "occurrence"),
    columns=(
        _text("kind", "as `bank.matching.SubjectKind`"),
        _text("subject_id", "the repayment or the payout"),
        _amount("occurrence", "which time it is: a payout may leave, and come back, more than once", at_least=1),
        _amount("amount", "as the line would carry it: a credit is positive"),
        _text("currency", "ISO 4217"),
        _text("reference", "as the bank would call it; may be empty"),
        _date("on", "the business day on which it is expected", is_nullable=True),
        _text("group", "what a payer may name instead: the loan, the payment file", is_nullable=True),
        _text("account", "the other party's; personal data", is_nullable=True),
    ),
)

MATCHES = Spec(
    name="matches",
    grain="One row per part of a line that is a subject, in the order of (match_id, part); mostly both are whole.",
    key=("line_id", "subject_kind", "subject_id", "occurrence"),
    columns=(
        _text("match_id", "the first line of the lines and subjects that are one another"),
        _text("line_id", "the line"),
        _date("booking_date", "of the line"),
        _text("currency", "of the line and the subject"),
        _flag("is_suspended", "whether the line was booked to suspense before"),
        _text("subject_kind", "as `bank.matching.SubjectKind`"),
        _text("subject_id", "the repayment, the payout or the account"),
        _amount("occurrence", "which time it is", at_least=1),
        _text("reference", "as the bank would call the subject; may be empty"),
        _amount("amount", "the part: a credit is positive"),
        _amount("difference", "what the line lacks to be the subject; only a tolerance or a person allows one"),
        _text("rule", "the rule that says so"),
        _text("explanation", "a sentence for people"),
    ),
)

# --- what a former system paid beside what we would have --------------------------------------------------------------

PAID_AMOUNTS = (
    _amount("gross_amount", "the shares, before anything is taken from them"),
    _amount("fee_amount", "fees"),
    _amount("vat_amount", "VAT on those fees"),
    _amount("national_tax_amount", "national withholding tax"),
    _amount("local_tax_amount", "local withholding tax"),
    _amount("tax_amount", "both taxes together"),
    _amount("net_amount", "what the investor got"),
)

PAID = Spec(
    name="paid",
    grain="One row per loan, investor and currency of a date: what the investor got of the loan's money.",
    key=("loan_id", "investor_id", "currency"),
    columns=(
        _text("loan_id", "the loan"),
        _text("investor_id", "who got it"),
        _text("currency", "ISO 4217"),
        *PAID_AMOUNTS,
    ),
)

SHADOW_SHARES = Spec(
    name="shares of a date",
    grain="One row per share of a settlement date, with when the money came that it is of.",
    key=("position", "note_id"),
    columns=(
        _amount("position", "of its allocation in the run"),
        _text("repayment_id", "whose money it is, or the reversal"),
        _instant("received_at", "when that came"),
        _text("loan_id", "the loan"),
        _text("receivable_id", "what it pays"),
        _text("component", "the component"),
        _text("note_id", "the note"),
        _text("investor_id", "who held it on the record date"),
        _text("currency", "ISO 4217"),
        *PAID_AMOUNTS,
    ),
)

DIFFERENCES = Spec(
    name="differences",
    grain="One row per date, loan, investor, currency and cause: what the former system paid more, by that cause.",
    key=("settlement_date", "loan_id", "investor_id", "currency", "cause", "detail"),
    columns=(
        _date("settlement_date", "the date on which one of the two paid it"),
        _text("loan_id", "the loan"),
        _text("investor_id", "the investor"),
        _text("currency", "ISO 4217"),
        _text("cause", "as `shadow.causes.Cause`"),
        _text("detail", "what of it can be said in a word: a receipt, a date, a rate, a rule; or empty"),
        *PAID_AMOUNTS,
    ),
)

# --- checks ------------------------------------------------------------------------------------------------------


def check(frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return `frame` as it is, once its columns, dtypes, nulls, bounds and key are proven to follow `spec`.

    Columns that the specification does not name are refused too: what is not described does not cross.

    Raises InvalidFrame: naming the frame, the column, the first offending row's key and the rule.
    """
    there, wanted = frame.columns.tolist(), spec.column_names
    if there != wanted:
        if missing := [name for name in wanted if name not in there]:
            raise InvalidFrame(f"Frame [{spec.name}] lacks column {missing}: it must have {wanted}")
        if unknown := [name for name in there if name not in wanted]:
            raise InvalidFrame(f"Frame [{spec.name}] has unknown column {unknown}: it must have {wanted}")
    _check_arrays({name: _array(frame[name]) for name in spec.column_names}, spec)
    return frame


def check_all(bundle: Inputs | Outcome) -> None:
    """Check every frame of an `Inputs` or an `Outcome` against its specification.

    Raises InvalidFrame: as `check`.
    """
    specs = INPUTS if isinstance(bundle, Inputs) else OUTCOME
    for field in fields(bundle):
        check(getattr(bundle, field.name), specs[field.name])


def _array(values: "pd.Series[Any]") -> Any:
    """Return what a column holds: a NumPy array, or one of pandas' where NumPy has no such dtype."""
    return values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array


def _check_arrays(arrays: Mapping[str, Any], spec: Spec) -> None:
    """Check columns without asking a frame for each, which costs more than checking a few rows."""
    for column in spec.columns:
        _check_column(arrays, spec, column)
    _check_key(arrays, spec)


def _check_column(arrays: Mapping[str, Any], spec: Spec, column: Column) -> None:
    values = arrays[column.name]
    dtype, is_categorical = values.dtype, isinstance(values.dtype, pd.CategoricalDtype)
    if column.kind is Kind.TEXT and is_categorical:
        dtype = dtype.categories.dtype
    if dtype != DTYPES[column.kind] and str(dtype) != column.kind.value:
        raise InvalidFrame(
            f"Frame [{spec.name}] column [{column.name}]: dtype must be [{column.kind.value}], is [{values.dtype}]"
        )
    if not column.is_nullable and column.kind not in NEVER_NULL:
        is_text = column.kind is Kind.TEXT and not is_categorical
        if not is_text or pa.array(values).null_count:
            _refuse(arrays, spec, column, pd.isna(values), "may not be null")
    if column.at_least is not None:
        _refuse(arrays, spec, column, values < column.at_least, f"must be at least {column.at_least}")
    if column.longest is not None:
        texts = values.categories.array if is_categorical else values
        is_long = np.array(pc.fill_null(pc.greater(pc.utf8_length(pa.array(texts)), column.longest), False))
        is_bad = is_long[values.codes] & (values.codes >= 0) if is_categorical and len(texts) else is_long
        _refuse(arrays, spec, column, is_bad, f"must have at most {column.longest} characters")
    if column.one_of is not None:
        allowed = pd.Series(values).isin([*column.one_of, *([None] if column.is_nullable else [])])
        _refuse(arrays, spec, column, ~allowed.to_numpy(), f"must be one of {list(column.one_of)}")
    if column.kind is Kind.DATE:
        seconds, is_set = values.view(np.int64), ~np.isnat(values)
        _refuse(arrays, spec, column, (seconds % 86_400 != 0) & is_set, "must be a date at midnight")
        is_outside = is_set & ((seconds < FIRST_SECOND) | (seconds > LAST_SECOND))
        _refuse(arrays, spec, column, is_outside, f"must be a date from {date.min} to {date.max}")


def _refuse(arrays: Mapping[str, Any], spec: Spec, column: Column, is_bad: np.ndarray, rule: str) -> None:
    if is_bad.any():
        row = int(is_bad.argmax())
        raise InvalidFrame(
            f"Frame [{spec.name}] column [{column.name}] row {_key_of(arrays, spec, row)}: "
            f"{rule}, is [{_told(arrays[column.name], row)}]"
        )


def _told(values: Any, row: int) -> str:
    told = str(pd.Series(values).iloc[row])
    return told if len(told) <= LONGEST_ID else f"{told[:LONGEST_TOLD]}…"


def _check_key(arrays: Mapping[str, Any], spec: Spec) -> None:
    keys = [arrays[name] for name in spec.key]
    if len(keys[0]) <= FEW_ROWS:
        is_unique = len(set(zip(*(values.tolist() for values in keys), strict=True))) == len(keys[0])
    else:
        is_unique = _ascend(keys)
    if is_unique:
        return
    repeated = pd.DataFrame(dict(enumerate(keys)), copy=False).duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        raise InvalidFrame(
            f"Frame [{spec.name}] column {list(spec.key)} row {_key_of(arrays, spec, row)}: the key must be unique"
        )


def ascends(frame: pd.DataFrame, spec: Spec) -> bool:
    """Tell whether the key strictly ascends from row to row, which proves it unique without hashing it."""
    return _ascend([_array(frame[name]) for name in spec.key])


def _ascend(keys: Sequence[Any]) -> bool:
    is_tied = np.ones(max(len(keys[0]) - 1, 0), dtype=np.bool_)
    for values in keys:
        if isinstance(values.dtype, pd.CategoricalDtype):
            return False
        column = pa.array(values)
        rises, stays = (compare(column[:-1], column[1:]) for compare in (pc.less, pc.equal))
        if not (rises.to_numpy(zero_copy_only=False) | stays.to_numpy(zero_copy_only=False))[is_tied].all():
            return False
        is_tied &= stays.to_numpy(zero_copy_only=False)
    return not is_tied.any()


def _key_of(arrays: Mapping[str, Any], spec: Spec, row: int) -> str:
    return ", ".join(f"[{name}={_told(arrays[name], row)}]" for name in spec.key)


# --- building ----------------------------------------------------------------------------------------------------


def build(spec: Spec, rows: Iterable[Sequence[Any] | Mapping[str, Any]] = ()) -> pd.DataFrame:
    """Return a frame of `spec` from rows (in column order, or by name) of plain Python values, checked.

    Dates may be `date` or ISO text, instants aware datetimes or ISO text; None is null.

    Raises InvalidFrame: as `check`.
    """
    names = spec.column_names
    table = [[row.get(name) for name in names] if isinstance(row, Mapping) else list(row) for row in rows]
    if not table:
        return _empty(spec).copy(deep=False)
    return of_columns(spec, {name: [row[place] for row in table] for place, name in enumerate(names)})


@cache
def _empty(spec: Spec) -> pd.DataFrame:
    return of_columns(spec, {name: [] for name in spec.column_names})


def of_columns(spec: Spec, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame of `spec` from its columns by name, each as for `column`, in their order and dtypes, checked.

    Raises InvalidFrame: as `check`.
    """
    arrays = {of.name: column(columns[of.name], of.kind) for of in spec.columns}
    _check_arrays(arrays, spec)
    return pd.DataFrame(arrays)


def typed(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Return a frame whose columns are of these kinds; those that have their dtype already are not converted."""
    there = dict(frame.dtypes)
    wrong = {name: DTYPES[kind] for name, kind in kinds.items() if there[name] != DTYPES[kind]}
    converted: pd.DataFrame = frame.astype(wrong) if wrong else frame
    return converted


def column(values: Any, kind: Kind) -> Any:
    """Return a list of plain Python values (as for `build`), or a column, as an array of this kind."""
    values = _array(values) if isinstance(values, pd.Series) else values
    dtype = DTYPES[kind]
    if getattr(values, "dtype", None) == dtype:
        return values
    if not isinstance(values, list):
        return _array(pd.Series(values).astype(kind.value))
    if kind is Kind.TEXT:
        return _texts(values)
    if kind is Kind.DATE:
        return np.array(values, dtype=dtype)
    if kind is Kind.INSTANT:
        return _instants(values)
    if kind in NEVER_NULL and (found := np.array(values)).dtype == dtype:
        return found
    return _array(pd.Series(values, dtype=kind.value))


def _texts(values: list[Any]) -> Any:
    try:
        return TEXTS(pa.array(values, pa.large_string()), dtype=DTYPES[Kind.TEXT])
    except pa.ArrowException:  # not all of them are text
        return pd.array(values, dtype=DTYPES[Kind.TEXT])


def _instants(values: list[Any]) -> Any:
    if all(value is None or (type(value) is datetime and value.tzinfo is not None) for value in values):
        naive = [value and value.astimezone(UTC).replace(tzinfo=None) for value in values]
        return pd.DatetimeIndex(np.array(naive, dtype="datetime64[us]"), tz=UTC).array
    is_text = all(isinstance(value, str) for value in values)
    return pd.DatetimeIndex(pd.to_datetime(values, utc=True, format="ISO8601" if is_text else None)).as_unit("us").array


def rows(frame: pd.DataFrame, *names: str) -> Iterator[tuple[Any, ...]]:
    """Return some columns of each row as plain values: what is null is None, a date is a date."""
    return zip(*(_plain(frame[name]) for name in names), strict=True)


def _plain(values: "pd.Series[Any]") -> list[Any]:
    if isinstance(values.dtype, pd.StringDtype):
        return list(pa.array(values.array).to_numpy(zero_copy_only=False).tolist())
    if values.dtype == DTYPES[Kind.DATE]:
        return list(values.to_numpy().astype("datetime64[D]").tolist())
    found = values.tolist()
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "bi":
        return found
    return [None if pd.isna(value) else value for value in found] if values.hasnans else found


def widen(shares: pd.DataFrame, allocations: pd.DataFrame) -> pd.DataFrame:
    """Return the shares with their allocation's repayment_id, loan_id, receivable_id, currency and component.

    Grain and order of the shares; `allocations` are those of the day, or of the same part of it, whole.
    """
    numbers = allocations["allocation_no"].to_numpy()
    places = shares["allocation_no"].to_numpy() - (numbers[0] if len(numbers) else 0)
    keys = ("repayment_id", "loan_id", "receivable_id", "currency", "component")
    return shares.assign(**{key: allocations[key].array.take(places) for key in keys})[
        ["allocation_no", *keys, *[name for name in shares.columns if name != "allocation_no"]]
    ]


def evidence(**facts: Any) -> str:
    """Return the facts as JSON text that is the same for the same facts; dates and instants in ISO 8601."""
    return json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_iso)


def _iso(value: Any) -> str:
    return str(value.isoformat())
