"""What is said to a bank and what a bank says, in the words of the business and in no bank's format.

To the bank goes a `PaymentFile`. From the bank come a `FileAnswer` (pain.002), `Return`s (pacs.004), and what
`bank.statement` has: `Notification`s (camt.054) and `Statement`s (camt.053, MT940, CSV). Around them stand a `Message`
(the bytes as they travelled) and a `Submission` (what became of a file that was handed to the bank).

Money is whole minor units beside its currency.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from settlement.domain.bank.statement import Notification, Statement

if TYPE_CHECKING:
    import pandas as pd

# ------------------------------------------------------------------------------------------------------- to the bank


ACCOUNT = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,32}[\x21-\x7e])?")
"""An account that a payment file can name: ISO 20022 Max34Text, printable."""

BANK = re.compile(r"[\x21-\x7e]{1,28}")
"""A BIC, or a member number in a clearing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaymentFile:
    """Credit transfers in one currency from one account. The same file is the same bytes, today and on every retry.

    `payments` is a frame `PAYMENTS`.
    """

    file_id: str
    created_at: datetime
    execution_date: date
    debtor_name: str
    debtor_account: str
    debtor_agent: str | None
    currency: str
    payments: "pd.DataFrame"

    @property
    def amount(self) -> int:
        """The sum of the payments; exact, however large."""
        return sum(self.payments["amount"].tolist())


# ----------------------------------------------------------------------------------------------------- from the bank

ACCEPTED = frozenset({"ACTC", "ACCP", "ACFC", "ACSP", "ACSC", "ACCC", "ACWC", "ACWP", "ACPD"})
"""Statuses under which a bank takes a payment, or every payment of a file, upon itself: checked (ACTC technically, ACCP
with the customer's profile, ACFC with the funds), in settlement (ACSP), settled (ACSC at the debtor, ACCC at the
creditor), with a change (ACWC), without posting (ACWP), cleared (ACPD). ISO 20022 external code sets,
ExternalPaymentTransactionStatus1Code and ExternalPaymentGroupStatus1Code."""

ARRIVED = ACCEPTED | {"PART", "PATC", "PDNG", "RCVD"}
"""Statuses under which a bank says that it has a file, whatever it thinks of its payments: accepted, accepted in part
(PART; PATC while some who must authorise it have not), pending, received (the same code sets)."""

REJECTED = "RJCT"
ACCEPTING = frozenset({"ACTC", "ACCP", "ACFC", "ACSP", "ACPD", "ACWC", "ACWP", "ACSC", "ACCC"})
"""Statuses that accept a payment, or a file with all its payments (ISO 20022 ExternalPaymentTransactionStatus1Code)."""

TAKING = ACCEPTING | {"PART", "PDNG", "RCVD"}
"""Statuses of a file that the bank has and has not refused as a whole: accepted, in part, pending, or just received."""

DUPLICATE_REASONS = frozenset({"DUPL", "AM05", "DU01"})
"""Reasons under which a bank refuses a file because it has one of this id already (ISO 20022 external code sets)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileAnswer:
    """A status report on one payment file (pain.002).

    `group_status` speaks for the file; without one, and with nothing said per payment, the batch's status does (a
    file of ours is one batch). `payments`, a frame `PAYMENT_STATUSES`, may be empty, and may name only some: what a
    report does not name, it says nothing of. `file_id` is None when the bank could not read which file it answers.
    """

    message_id: str
    file_id: str | None
    group_status: str | None
    reason: str | None = None
    text: str = ""
    payments: "pd.DataFrame"

    @property
    def is_duplicate(self) -> bool:
        """The bank refuses the file because it has this id already: a proof of presence, and no rejection of a payment.

        It does not say what became of the file the first time: a bank that rejected it then remembers its id all the
        same.
        """
        return self.group_status == REJECTED and self.reason in DUPLICATE_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One payment that came back after it was booked (pacs.004).

    `amount` is what comes back. `original_amount` is what the bank says was paid, where it says so in the same
    currency: when it is more, the difference is what a bank kept for itself.
    """

    return_id: str | None
    end_to_end_id: str
    amount: int
    currency: str
    reason: str | None
    original_amount: int | None = None
    text: str = ""
    return_date: date | None = None
    file_id: str | None = None


Reading = FileAnswer | tuple[Return, ...] | tuple[Notification, ...] | tuple[Statement, ...]
"""What a message turned out to say. The tuples are never empty: a message that says nothing is refused."""


# --------------------------------------------------------------------------------------------------------- in transit


class MessageState(StrEnum):
    """What became of a message of the bank."""

    NEW = "new"
    """It was kept and nobody has read it."""
    APPLIED = "applied"
    """What it says stands in the books."""
    REFUSED = "refused"
    """It cannot be used; it is kept with the reason and has changed nothing."""
    FOREIGN = "foreign"
    """All that it speaks of are accounts that are not ours."""


LARGEST_MESSAGE = 64 * 1024 * 1024
"""No message of a bank has more bytes."""

FILE = "file"
"""The kind that a message claims which is a file without a telling name; the reader goes by content alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The bytes of one message as they came, with the name by which the channel knows it and the kind it claims.

    `written_at` is when they were written, where the channel knows it: each time that they are is another coming.
    """

    name: str
    kind: str
    content: bytes = field(repr=False)
    sha256: str
    written_at: datetime | None = field(default=None, compare=False)

    @classmethod
    def of(cls, content: bytes, *, kind: str, name: str | None = None, written_at: datetime | None = None) -> "Message":
        """Wrap [content]; without a name of its own, a message is named after its kind and its hash."""
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(
            name=name or f"{kind}-{sha256[:16]}", kind=kind, content=content, sha256=sha256, written_at=written_at
        )


class SubmissionOutcome(StrEnum):
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

    outcome: SubmissionOutcome
    text: str
    status_code: int | None = None
    answer: bytes = field(default=b"", repr=False)
    reason: str | None = None
    messages: tuple[Message, ...] = ()
