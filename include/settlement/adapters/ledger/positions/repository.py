"""Positions that are kept: what was repaid of each note and paid on each receivable, after each date that moved a loan.

A loan has one row for each date that moves it as the books stand, with the sums after that date. Its position before a
date is the newest row of the dates before it: one step into an index, however many days were settled. The row is
written in the transaction that moves the loan, from the row before it and from what moves, so it holds also what the
source shows no longer. Loans that are run again from a date on are lifted first: their rows from that date on go, and
each date writes what then moves. What a revision saw stands in its frozen inputs, so no earlier row is needed.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from settlement.adapters.ledger import copying, frames_io
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.computation import encode, positions
from settlement.domain.computation.positions import Sums

HERE = __package__

JOINED = pa.schema([("loan", pa.int64()), ("ids", pa.large_string()), ("amounts", pa.large_string())])
SEPARATOR = "\x1f"


class Positions(Repository):
    """What was paid so far on notes and receivables."""

    def repaid(self, day: date, loan_ids: Sequence[str]) -> Sums:
        """Return the principal repaid on the notes of these loans before a date; loans are numbered in this order."""
        return self._before("repaid_before", day, loan_ids)

    def allocated(self, day: date, loan_ids: Sequence[str]) -> Sums:
        """Return what the receivables of these loans were paid before a date; loans are numbered in this order."""
        return self._before("allocated_before", day, loan_ids)

    def write(self, allocations: pd.DataFrame, shares: pd.DataFrame, *, settlement_date: date) -> None:
        """Write where whole loans stand after a date; the frames are all that moves on it, as in an outcome."""
        if allocations.empty:
            return
        loans = pc.dictionary_encode(encode.text(allocations["loan_id"]))
        loan_ids, loan = loans.dictionary, loans.indices.to_numpy().astype(np.int64)
        receivables = pc.dictionary_encode(encode.text(allocations["receivable_id"]))
        on, named = settlement_date, loan_ids.to_pylist()
        allocated = positions.after(
            self.allocated(on, named),
            loan=loan,
            place=receivables.indices.to_numpy().astype(np.int64),
            ids=receivables.dictionary,
            amount=allocations["amount"].to_numpy(),
        )
        of = shares["allocation_no"].to_numpy() - int(allocations["allocation_no"].iloc[0])
        is_principal = (allocations["component"] == "principal").to_numpy()[of]
        notes = shares["note_id"].astype("category")
        repaid = positions.after(
            self.repaid(on, named),
            loan=loan[of[is_principal]],
            place=notes.cat.codes.to_numpy()[is_principal].astype(np.int64),
            ids=encode.text(notes.cat.categories.to_series()),
            amount=shares["gross_amount"].to_numpy()[is_principal],
        )
        head = copying.keyed(pd.DataFrame({"loan_id": pd.array(loan_ids, dtype="str")}), {"settlement_date": on})
        row = copying.together(
            copying.fields(head),
            *_lists(repaid, len(loan_ids)),
            *_lists(allocated, len(loan_ids)),
        )
        columns = [*head.columns, "note_ids", "repaid", "receivable_ids", "allocated"]
        copying.into(self.transaction, "ledger.positions", columns, [row])

    def lift(self, loan_ids: Sequence[str], *, since: date) -> None:
        """Take away where these loans stood from a date on: they are run again on every settled date from it on."""
        self.transaction.execute(
            sa.text("delete from ledger.positions where loan_id = any(:loans) and settlement_date >= :since"),
            {"loans": list(loan_ids), "since": since},
        )

    def _before(self, query: str, day: date, loan_ids: Sequence[str]) -> Sums:
        named = {"loans": list(loan_ids), "on": day}
        rows = frames_io.columns(self.transaction, sql(HERE, query).text, named, JOINED)
        ids, amounts = (pc.split_pattern(rows[name].combine_chunks(), SEPARATOR) for name in ("ids", "amounts"))
        return Sums(
            loan=np.repeat(rows["loan"].to_numpy(), pc.list_value_length(ids).to_numpy()),
            ids=ids.flatten(),
            amount=amounts.flatten().cast(pa.int64()).to_numpy(),
        )


def _lists(sums: Sums, loans: int) -> tuple[copying.Fields, copying.Fields]:
    start = encode.starts_of(sums.loan, loans)
    return copying.lists(sums.ids, start), copying.lists(pa.array(sums.amount), start)
