"""The part of the books that lets loans be run again: their rows as they stand, and as they stood before a date."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger import frames_io
from settlement.adapters.ledger.positions.repository import Positions
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.ports.replays import ShareChange

HERE = __package__

OF_RUNS = ("repayment_extracted", "repayment_distributed", "credit_applied", "refund_ordered", "repayment_reversed")
"""The events of the entries that a day's run makes of a loan's money."""

ROWS: Mapping[str, Mapping[str, str]] = {
    "allocations": dict.fromkeys(("repayment_id", "loan_id", "receivable_id", "currency", "component"), "str")
    | {"amount": "int64"},
    "shares": dict.fromkeys(("loan_id", "note_id", "investor_id"), "str")
    | dict.fromkeys((column.name for column in frames.SHARE_AMOUNTS), "int64"),
    "credits": dict.fromkeys(("loan_id", "repayment_id", "currency"), "str") | {"amount": "int64", "event": "str"},
    "kept_back": dict.fromkeys(("loan_id", "subject_id", "currency"), "str") | {"amount": "int64", "rule": "str"},
}
"""What a date has of a loan, by table: columns and their dtypes."""


class Replays(Repository):
    """Loans that are run again; see `ports.Replays`."""

    def received_in(self, window_on: date) -> list[str]:
        """Return the loans of which money was taken that came in the window of a date."""
        rows = self.transaction.execute(
            sa.text("select distinct loan_id from ledger.repayments where window_on = :on order by 1"),
            {"on": window_on},
        )
        return list(rows.scalars())

    def moved_on(self, settlement_date: date, loan_ids: Sequence[str]) -> list[str]:
        """Return those of the loans whose money a date has moved or kept back, in bytewise order."""
        return list(self._of(sql(HERE, "moved_on"), settlement_date, loan_ids).scalars())

    def lift(self, loan_ids: Sequence[str], *, since: date) -> None:
        """Let the loans and their repayments stand as they did before a date."""
        for statement in ("lift", "lift_reversed", "lift_released"):
            named = {"loans": list(loan_ids)} | ({} if statement == "lift_reversed" else {"since": since})
            self.transaction.execute(sql(HERE, statement), named)
        Positions(self.transaction).lift(loan_ids, since=since)

    def subjects(self, loan_ids: Sequence[str]) -> set[tuple[str, str]]:
        """Return the loans, their repayments and their refunds as subjects of breaks: the kind and the id of each."""
        rows = self.transaction.execute(sql(HERE, "subjects"), {"loans": list(loan_ids)})
        return {(row.kind, row.id) for row in rows}

    def unsettled(self, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the repayments of the loans that were taken and are neither settled nor cancelled."""
        return self._repayments("unsettled", loan_ids)

    def booked(self, repayment_ids: Sequence[str]) -> pd.DataFrame:
        """Return those of the repayments that were ever taken, as they were taken."""
        return self._repayments("booked", repayment_ids)

    def _repayments(self, query: str, ids: Sequence[str]) -> pd.DataFrame:
        kinds = {column.name: column.kind for column in frames.REPAYMENTS.columns if column.name != "state"}
        rows = self.transaction.execute(sql(HERE, query), {"ids": list(ids)}).all()
        return pd.DataFrame(
            {
                name: frames.column([row[place] for row in rows], kind)
                for place, (name, kind) in enumerate(kinds.items())
            }
        )

    def replayed_after(self, settlement_date: date, revision: int) -> set[str]:
        """Return the loans that later revisions of a date than this one have run again."""
        rows = self.transaction.execute(
            sa.text(
                "select distinct loan_id from ledger.replayed_loans"
                " where settlement_date = :on and revision > :revision"
            ),
            {"on": settlement_date, "revision": revision},
        )
        return set(rows.scalars())

    def rows(self, settlement_date: date, loan_ids: Sequence[str]) -> dict[str, pd.DataFrame]:
        """Return the allocations, shares, credits and what is kept_back of the loans on a date, as the books stand."""
        return {
            name: pd.DataFrame(self._of(sql(HERE, name), settlement_date, loan_ids).all(), columns=list(kinds)).astype(
                dict(kinds)
            )
            for name, kinds in ROWS.items()
        }

    def entries(self, settlement_date: date, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the entries by which the date moved money of the loans."""
        named = {"on": settlement_date, "loans": list(loan_ids), "events": list(OF_RUNS)}
        return frames_io.named(self.transaction, sql(HERE, "entries"), named, frames.BOOKED_ENTRIES)

    def changes(self, revisions: Mapping[date, int]) -> list[ShareChange]:
        """Return what these revisions changed for each investor of each loan, by date, loan and investor."""
        named = {"dates": list(revisions), "revisions": list(revisions.values())}
        rows = self.transaction.execute(sql(HERE, "changes"), named).mappings()
        return [ShareChange(**row) for row in rows]

    def _of(self, query: sa.TextClause, settlement_date: date, loan_ids: Sequence[str]) -> sa.CursorResult[Any]:
        named = {"on": settlement_date, "loans": list(loan_ids), "events": list(OF_RUNS)}
        return self.transaction.execute(query, {name: named[name] for name in query.compile().params})
