"""What is said to a bank and what a bank says, in the words of the business and in no bank's format.

To the bank goes a `PaymentFile`. From the bank come a `FileAnswer` (pain.002), `Return`s (pacs.004), `Notification`s
(camt.054) and `Statement`s (camt.053, MT940, CSV). Around them stand a `Message` (the bytes as they travelled) and a
`Submission` (what became of a file that was handed to the bank).

Money is whole minor units beside its currency; on a statement a credit is positive. Readers hand out nothing that does
not add up: whoever holds a `Statement` may rely on opening + lines = closing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

# ------------------------------------------------------------------------------------------------------- to the bank


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One credit transfer. `creditor_bank` is a BIC or the bank's member number in the country's clearing."""

    end_to_end_id: str
    amount: int
    creditor_name: str
    creditor_account: str
    creditor_bank: str | None = None
    remittance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFile:
    """Credit transfers in one currency from one account. The same file is the same bytes, today and on every retry."""

    file_id: str
    created_at: datetime
    execution_date: date
    debtor_name: str
    debtor_account: str
    debtor_agent: str | None
    currency: str
    payments: tuple[Payment, ...]

    @property
    def amount(self) -> int:
        return sum(payment.amount for payment in self.payments)


# ----------------------------------------------------------------------------------------------------- from the bank

REJECTED = "RJCT"
DUPLICATE_REASONS = frozenset({"DUPL", "AM05", "DU01"})
"""Reasons under which a bank refuses a file because it has one of this id already (ISO 20022 external code sets)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatus:
    """What the bank says of one payment: ACCP, ACSP, ACSC, ACCC, PDNG, RJCT …, with its reason where it gives one."""

    end_to_end_id: str
    status: str
    reason: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """A status report on one payment file (pain.002).

    `group_status` speaks for the file; without one, and with nothing said per payment, the batch's status does (a
    file of ours is one batch). `payments` may be empty, and may name only some: what a report does not name, it says
    nothing of. `file_id` is None when the bank could not read which file it answers.
    """

    message_id: str
    file_id: str | None
    group_status: str | None
    reason: str | None = None
    text: str = ""
    payments: tuple[PaymentStatus, ...] = ()

    @property
    def is_rejected(self) -> bool:
        """The whole file was rejected, and not because the bank has it already."""
        return self.group_status == REJECTED and not self.is_duplicate

    @property
    def is_duplicate(self) -> bool:
        """The bank refuses the file because it has this id already: a proof of presence, and no rejection of a payment.

        It does not say what became of the file the first time: a bank that rejected it then remembers its id all the
        same.
        """
        return self.group_status == REJECTED and self.reason in DUPLICATE_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One payment that came back after it was booked (pacs.004)."""

    return_id: str | None
    end_to_end_id: str
    amount: int
    currency: str
    reason: str | None
    text: str = ""
    return_date: date | None = None
    file_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """An entry of the account, or one transaction of an entry that books several together, as a bank tells it.

    `reference` is the structured reference that the payer gave, `bank_reference` the bank's own number for the booking.
    `remittance` keeps the bank's lines apart with newlines. `transaction_count` is above 1 for a batch of which the
    bank does not tell the parts. `is_charge` marks what the bank kept for itself out of an entry. The other party's
    name is read nowhere; its account stands here for matching only.
    """

    booking_date: date
    value_date: date | None
    amount: int
    end_to_end_id: str | None = None
    reference: str | None = None
    bank_reference: str | None = None
    file_id: str | None = None
    remittance: str = ""
    bank_code: str = ""
    is_return: bool = False
    is_reversal: bool = False
    is_charge: bool = False
    reason: str | None = None
    counterparty_account: str | None = field(default=None, repr=False)
    transaction_count: int = 1

    def said(self) -> str:
        """Return everything it says in one text, equal for equal movements only."""
        return "\x1f".join(repr(getattr(self, name)) for name in Movement.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine(Movement):
    """A movement on a statement, in the statement's currency.

    `line_id` is made from the statement it stands on and what it says, so it is the same however often the statement
    is read and in whatever order its lines come.
    """

    line_id: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What the bank books during the day (camt.054): good for states, never for the ledger, which statements post."""

    notification_id: str
    account: str
    currency: str
    lines: tuple[StatementLine, ...]
    not_booked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement, or one page of one, of one account (camt.053, MT940, CSV): opening + lines = closing, always.

    `content_key` is a hash of what it says, whatever it is called: the same statement under another name or in another
    file has the same key. `not_booked` counts entries that the bank shows as pending or as information; they move no
    balance and are not lines.
    """

    statement_id: str
    sequence: int | None
    account: str
    currency: str
    business_date: date
    from_date: date | None
    to_date: date | None
    opening: int
    closing: int
    lines: tuple[StatementLine, ...]
    content_key: str
    not_booked: int = 0

    @property
    def entered(self) -> int:
        return sum(line.amount for line in self.lines)


Reading = FileAnswer | tuple[Return, ...] | tuple[Notification, ...] | tuple[Statement, ...]
"""What a message turned out to say. The tuples are never empty: a message that says nothing is refused."""


def content_key(
    *, account: str, currency: str, business_date: date, opening: int, closing: int, said: Sequence[str]
) -> str:
    """Return the hash of what a statement says, whatever its name and the order of its lines."""
    head = (account, currency, business_date.isoformat(), str(opening), str(closing))
    return hashlib.sha256("\x1e".join((*head, *sorted(said))).encode()).hexdigest()


def line_id(statement_id: str, account: str, said: str, *, occurrence: int) -> str:
    """Return the id of a statement's line; [occurrence] tells apart lines of one statement that say the very same."""
    return "L" + hashlib.sha256("\x1e".join((account, statement_id, said, str(occurrence))).encode()).hexdigest()[:31]


# --------------------------------------------------------------------------------------------------------- in transit


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The bytes of one message as they came, with the name by which the channel knows it and the kind it claims."""

    name: str
    kind: str
    content: bytes = field(repr=False)
    sha256: str

    @classmethod
    def of(cls, content: bytes, *, kind: str, name: str | None = None) -> "Message":
        """Wrap [content]; without a name of its own, a message is named after its kind and its hash."""
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(name=name or f"{kind}-{sha256[:16]}", kind=kind, content=content, sha256=sha256)


class Outcome(StrEnum):
    """What is proven of a file after it was handed to the bank."""

    RECEIVED = "received"
    """The bank took it."""
    REFUSED = "refused"
    """The bank read this very transmission and booked nothing of it."""
    DUPLICATE = "duplicate"
    """The bank says it has a file of this id: proof that an earlier transmission arrived."""
    NOT_SENT = "not_sent"
    """The file never reached the bank's processing: it may be sent again as it is."""
    UNKNOWN = "unknown"
    """Nothing is proven: the money is at risk until an inquiry answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One attempt to hand over a file: its outcome, the evidence, and what the bank already said in its answer.

    `text` is a sentence for people that names the channel and never a credential. A `REFUSED` speaks of this
    transmission alone: if an earlier one of the same file is unknown, it proves nothing about that one.
    """

    outcome: Outcome
    text: str
    status_code: int | None = None
    answer: bytes = field(default=b"", repr=False)
    reason: str | None = None
    messages: tuple[Message, ...] = ()
