"""Evidence before state: what is known of a payout, and the state that follows from it, in whatever order it came.

Method. What the bank did with a payout is kept as facts: each debit and each credit of its statements, each announced
return, each proof that it was not paid. Debits and credits are counted, because a bank doubles a booking, corrects it,
and books again. A payout is returned if a return is announced or as many credits as debits are shown; else booked if
a debit is left, also against a rejection; else rejected where that is proven; else where its sending took it.

Debits less credits should be one for what is booked and none for anything else. What is more than that was paid twice,
or is still to be credited; it is a break, and neither a reason to pay again nor to withhold.
"""

from enum import StrEnum

import numpy as np
import pandas as pd

from settlement.domain.payments.state import PayoutState


class FactKind(StrEnum):
    """What became known of a payout besides its statement lines. The ledger keeps the same words."""

    WITHDRAWN = "withdrawn"
    """We never handed it over, and will not."""
    REFUSED = "refused"
    """The bank did not pay it, which is proven of every transmission that may have arrived."""
    ABSENT = "absent"
    """People say, after asking the bank, that it did not pay it."""
    RETURN_ANNOUNCED = "return_announced"
    """The bank says that it gives it back."""
    DEBIT_EXPLAINED = "debit_explained"
    """A debit of it is something else: a person booked the line elsewhere."""
    CREDIT_EXPLAINED = "credit_explained"
    """A credit of it likewise."""


UNPAID = (FactKind.WITHDRAWN, FactKind.REFUSED, FactKind.ABSENT)
"""The facts that prove a payout not to have been paid, as long as no statement shows it."""


def is_debit(line: int, amount: int) -> bool:
    """Tell whether a line that names a payout of this amount shows it leaving: in full, or with a fee on top."""
    return line <= -amount


def is_credit(line: int, amount: int, *, is_return: bool) -> bool:
    """Tell whether a line that names a payout of this amount shows it coming back: in full, or less a fee.

    A credit of half or less that the bank does not mark as a return is no payout coming back, but a fee or the like.
    """
    return 0 < line <= amount and (is_return or line * 2 > amount)


def states(known: pd.DataFrame) -> "pd.Series[str]":
    """Return the state that follows for each payout of a frame `EVIDENCE`, under the same index.

    What was never handed over cannot have been paid, whatever a statement says: its lines are somebody else's.
    """
    debits, credits, is_unsent = known["debits"], known["credits"], known["submitted_at"].isna()
    proven = np.select(
        [
            is_unsent & known["is_unpaid"],
            is_unsent,
            known["is_return_announced"] | ((debits > 0) & (credits >= debits)),
            debits > credits,
            known["is_unpaid"],
        ],
        [
            PayoutState.REJECTED.value,
            "",
            PayoutState.RETURNED.value,
            PayoutState.BOOKED.value,
            PayoutState.REJECTED.value,
        ],
        default="",
    )
    return known["state"].where(proven == "", pd.Series(proven, index=known.index, dtype="str"))


def movements(known: pd.DataFrame) -> pd.DataFrame:
    """Return how many debits and credits of each payout are matched with it in the end, as `leaving` and `back`.

    Of what is booked one debit stays without a credit; a second is left over as a duplicate until its correction
    comes. Of what is returned every debit counts. A credit counts once there is a debit for it.
    """
    debits = known["debits"] - known["explained_debits"]
    credits = known["credits"] - known["explained_credits"]
    is_booked = states(known) == PayoutState.BOOKED
    at_most = (debits - is_booked.astype("int64")).clip(lower=0)
    back = credits.where(credits < at_most, at_most)
    leaving = debits.where(~is_booked | (debits < back + 1), back + 1)
    return pd.DataFrame({"leaving": leaving, "back": back}, index=known.index)
