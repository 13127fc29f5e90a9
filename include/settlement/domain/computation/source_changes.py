"""What the source says by now beside what was taken from it: which windows to read again, what changed, what is held.

What comes in: rows as the source says them, and what the books know of them. What comes out is what a run takes, and a
finding for each row that the source says otherwise than when it was taken, or no longer says.

What was taken stands: a row that changed moves no money by itself. A row is known by its id, not by its window: in a
calendar that has changed a receipt lies in another window than when it was taken, and so does one that was cancelled
ahead of its own run and moved since.
"""

from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime

import pandas as pd

from settlement.domain.breaks import Finding
from settlement.domain.days import Window

Digest = tuple[int, str]
"""How many rows there are, and a number that changes with any of them."""

NOTHING: Digest = (0, "0")


def boundaries(windows: Mapping[date, Sequence[Window]]) -> list[datetime]:
    """Return the instants at which a window begins or ends, each once, oldest first."""
    return sorted({instant for pieces in windows.values() for window in pieces for instant in window})


def windows_that_differ(
    windows: Mapping[date, Sequence[Window]], *, source: Mapping[datetime, Digest], taken: Mapping[date, Digest]
) -> list[date]:
    """Return the settlement dates of whose windows the source says something else than what was taken.

    `windows` has the pieces of each; `source` the digest of what came from a boundary to the next one, by that
    boundary; `taken` that of what was taken, by settlement date. Where there is no row there is no digest.
    """
    return [
        on
        for on, pieces in windows.items()
        if _together([source.get(window.from_at, NOTHING) for window in pieces]) != taken.get(on, NOTHING)
    ]


def _together(digests: Sequence[Digest]) -> Digest:
    """Return the digest of what several digests are of: numbers of rows, and sums of numbers that rows have."""
    return sum(count for count, _ in digests), str(sum(int(number) for _, number in digests))


def changed(taken: pd.DataFrame, received: pd.DataFrame) -> list[Finding]:
    """Return what was taken and the source says otherwise by now, or no longer: both of the same windows.

    A reversal that was refused has moved nothing, so another one in its place is no change: the next run tries it.
    """
    columns = ["loan_id", "received_at", "amount", "reverses_repayment_id"]
    received = received.astype({"amount": "Int64"})  # what is gone has no amount, and none becomes a float for it
    both = taken.merge(received, how="left", on="repayment_id", suffixes=("", "_now"), validate="one_to_one")
    findings = []
    for row in both.to_dict("records"):
        was = {name: row[name] for name in columns if not pd.isna(row[name])}
        now = {name: row[f"{name}_now"] for name in columns if not pd.isna(row[f"{name}_now"])}
        is_refused = row["state"] == "quarantined" and "reverses_repayment_id" in was
        if was != now and not (is_refused and "reverses_repayment_id" in now):
            findings.append(
                Finding(
                    cause="source_changed",
                    subject_kind="repayment",
                    subject_id=row["repayment_id"],
                    currency=row["currency"],
                    amount=row["amount"],
                    evidence={"taken": was, "source": now or "gone"},
                )
            )
    return findings


def too_old(unknown: pd.DataFrame, currencies: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each late arrival from before the look-back; `currencies` are those of its loan, by loan."""
    return [
        Finding(
            cause="late_arrival_too_old",
            subject_kind="repayment",
            subject_id=row["repayment_id"],
            currency=currencies.get(row["loan_id"]),
            amount=row["amount"],
            evidence={
                name: row[name]
                for name in ("loan_id", "received_at", "amount", "reverses_repayment_id")
                if not pd.isna(row[name])
            },
        )
        for row in unknown.sort_values("repayment_id", kind="stable").to_dict("records")
    ]


def new(received: pd.DataFrame, known: Set[str]) -> pd.DataFrame:
    """Return the repayments that no run has taken yet."""
    return received[~received["repayment_id"].isin(known)]


def unchanged(quarantined: Sequence[str], findings: Sequence[Finding]) -> list[str]:
    """Return the quarantined repayments that are tried again, in order of their ids.

    What was extracted is tried as it was taken, for its money stands in the books with that amount: one that has
    changed waits.
    """
    return sorted({*quarantined} - {found.subject_id for found in findings})


def hold_to_currency(
    loans: pd.DataFrame, repayments: pd.DataFrame, settled_in: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[Finding]]:
    """Return the loans and repayments without the loans whose currency has changed, and a finding for what these wait.

    A loan's money is settled in one currency, `settled_in`, by loan. Until the source says that one again, nothing of
    the loan moves.
    """
    booked_in = loans["loan_id"].map(settled_in)
    is_another = booked_in.notna() & (booked_in != loans["currency"])
    if not is_another.any():
        return loans, repayments, []
    others = loans[is_another]
    now = dict(zip(others["loan_id"], others["currency"], strict=True))
    is_held = repayments["loan_id"].isin(others["loan_id"])
    findings = [
        Finding(
            cause="source_changed",
            subject_kind="repayment",
            subject_id=row["repayment_id"],
            currency=settled_in[row["loan_id"]],
            amount=row["amount"],
            evidence={
                "taken": {
                    "loan_id": row["loan_id"],
                    "currency": settled_in[row["loan_id"]],
                    "received_at": row["received_at"],
                },
                "source": {"loan_id": row["loan_id"], "currency": now[row["loan_id"]]},
            },
        )
        for row in repayments[is_held].to_dict("records")
    ]
    return loans[~is_another].reset_index(drop=True), repayments[~is_held], findings
