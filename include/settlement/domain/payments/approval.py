"""What becomes of a question to a second person, and the question's id: made from the payouts that it is about."""

import hashlib
from datetime import date, datetime
from enum import StrEnum

import pandas as pd


class Decision(StrEnum):
    """How a question ended."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody answered in the policy's time, which counts as rejected."""
    SUPERSEDED = "superseded"
    """Another question of the day took its place before it was answered."""


def decision(*, is_approved: bool, by: str, now: datetime, expires_at: datetime) -> Decision:
    """Return what an answer comes to; one that comes after the question has expired is none."""
    if now > expires_at or (by == TIMEOUT and not is_approved):
        return Decision.EXPIRED
    return Decision.APPROVED if is_approved else Decision.REJECTED


TIMEOUT = "timeout"
"""Who answers when nobody did."""


def approval_id(settlement_date: date, payouts_sha256: str) -> str:
    """Return the id of the question about the payouts of this hash."""
    return f"{settlement_date:%Y%m%d}-{payouts_sha256[:16]}"


def payouts_sha256(payouts: pd.DataFrame) -> str:
    """Return the hash of exactly these payouts: ids, amounts and where the money goes."""
    columns = (payouts[name] for name in ("payout_id", "currency", "amount", "payee_account"))
    rows = sorted(zip(*columns, payouts["payee_bank"].fillna(""), strict=True))
    return hashlib.sha256("\n".join("\t".join(map(str, row)) for row in rows).encode()).hexdigest()
