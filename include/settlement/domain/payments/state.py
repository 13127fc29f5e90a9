"""The life of a payout: its states, the groups of them that have a name, and the steps from one to another.

The same steps stand in the database (`ledger.payout_steps`), which refuses every other one; a test holds the two equal.
"""

from enum import StrEnum


class PayoutState(StrEnum):
    """Where a payout is (rules, section 7)."""

    PREPARED = "prepared"
    """Written, with its entry; nobody has answered for it."""
    APPROVED = "approved"
    """Within the policy's limit, or a second person has agreed."""
    SUBMITTED = "submitted"
    """Its file was handed over; the bank has said nothing of it."""
    UNKNOWN = "unknown"
    """The bank's answer did not arrive: it is asked for, and never sent under another id."""
    ACCEPTED = "accepted"
    """The bank has it and has not booked it."""
    BOOKED = "booked"
    """A statement shows it."""
    REJECTED = "rejected"
    """It is proven not to have been paid, as long as no statement shows it: its money is back in the balance."""
    RETURNED = "returned"
    """It was paid and came back: its money is back in the balance."""

    @property
    def is_unsent(self) -> bool:
        """Whether the bank cannot have it yet."""
        return self in UNSENT

    @property
    def is_unproven(self) -> bool:
        """Whether the bank may have it and has proven nothing of it."""
        return self in UNPROVEN

    @property
    def is_at_bank(self) -> bool:
        """Whether the bank has it, or may have it, and has not said how it ended."""
        return self in AT_BANK

    @property
    def is_in_transit(self) -> bool:
        """Whether its money is neither in the balance nor shown on a statement."""
        return self not in FINAL

    @property
    def is_proven_unpaid(self) -> bool:
        """Whether its money is back with the payee: only then its next attempt may exist."""
        return self in PROVEN_UNPAID

    @property
    def is_final(self) -> bool:
        """Whether it has ended, as far as is known."""
        return self in FINAL

    def may_become(self, state: "PayoutState") -> bool:
        """Whether there is a step from this state to the other."""
        return state in STEPS[self]


UNSENT = (PayoutState.PREPARED, PayoutState.APPROVED)
UNPROVEN = (PayoutState.SUBMITTED, PayoutState.UNKNOWN)
AT_BANK = (*UNPROVEN, PayoutState.ACCEPTED)
PROVEN_UNPAID = (PayoutState.REJECTED, PayoutState.RETURNED)
FINAL = (PayoutState.BOOKED, *PROVEN_UNPAID)

STEPS: dict[PayoutState, tuple[PayoutState, ...]] = {
    PayoutState.PREPARED: (PayoutState.APPROVED, PayoutState.REJECTED),
    PayoutState.APPROVED: (PayoutState.SUBMITTED, PayoutState.REJECTED),
    PayoutState.SUBMITTED: (PayoutState.ACCEPTED, PayoutState.UNKNOWN, *FINAL),
    PayoutState.UNKNOWN: (PayoutState.ACCEPTED, *FINAL),
    PayoutState.ACCEPTED: FINAL,
    PayoutState.BOOKED: (PayoutState.RETURNED,),
    PayoutState.REJECTED: (PayoutState.BOOKED, PayoutState.RETURNED),
    PayoutState.RETURNED: (PayoutState.BOOKED,),
}
"""The states that a payout may take after each. One that has ended moves again only by what statements show or the bank
announces (see `payments.evidence`)."""
