"""Where a payment file is: with us, with the bank, rejected by it, or nobody can say.

Method: a file may be handed over several times, always as the same bytes under the same id, and a bank takes an id
once. Each transmission has what its own answer proved, or nothing where nobody heard an answer. Besides, the bank's
status reports say that a file was rejected whole, or that the bank had it already; a report does not say which
transmission it answers, and a refusal is often told twice, as an answer and as a report, or by several reports: all
reports together are one refusal.

A file is rejected only when every transmission that may have arrived is accounted for as one of which nothing was
booked. So the refusal of a second transmission never gives money back while the first may have been paid.

Known limit: a bank that rejects a first transmission without a word, and then refuses the second for another reason
than that it has the file, leaves the file unknown; a person asks the bank.
"""

from collections.abc import Sequence
from enum import StrEnum

from settlement.domain.bank.messages import SubmissionOutcome


class FileState(StrEnum):
    """Where a payment file is, as all transmissions and reports together prove it. The ledger keeps the same words."""

    PREPARED = "prepared"
    """It is with us: it never reached the bank's processing."""
    SUBMITTED = "submitted"
    """It is being handed over, and no answer has been judged."""
    RECEIVED = "received"
    """The bank has it; what became of each payment, statuses and statements tell."""
    REJECTED = "rejected"
    """The bank had it and booked nothing of it, or it will never be handed over. It stays so."""
    UNKNOWN = "unknown"
    """Nothing is proven: its money is at risk."""

    @property
    def may_be_sent(self) -> bool:
        """Tell whether it may be handed over, also again: the bank neither has it for sure nor rejected it."""
        return self in MAY_BE_SENT


MAY_BE_SENT = (FileState.PREPARED, FileState.SUBMITTED, FileState.UNKNOWN)


def file_status(
    outcomes: Sequence[SubmissionOutcome | None], *, is_rejected: bool, is_duplicate: bool, is_spoken_of: bool
) -> FileState:
    """Return where a file is that was handed over with these outcomes (None: nobody heard an answer).

    `is_rejected` and `is_duplicate`: reports say so of the whole file, however often they tell it. `is_spoken_of`: a
    report named its payments or accepted it.

    It is prepared, received, rejected or unknown; a file is submitted only while it is being handed over.
    """
    arrived = [outcome for outcome in outcomes if outcome is not SubmissionOutcome.NOT_SENT]
    if not arrived:
        return FileState.PREPARED
    refused = max(arrived.count(SubmissionOutcome.REFUSED), int(is_rejected))
    duplicate = max(arrived.count(SubmissionOutcome.DUPLICATE), int(is_duplicate))
    if refused and refused + duplicate >= len(arrived):
        return FileState.REJECTED
    if duplicate or is_spoken_of or SubmissionOutcome.RECEIVED in arrived:
        return FileState.RECEIVED
    return FileState.UNKNOWN
