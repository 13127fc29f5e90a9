"""The source as a shadow run reads it: with the opening positions that it was told of, and what was paid before."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

import pandas as pd

from settlement.adapters.lending_core.source import PostgresLendingCore, Snapshot
from settlement.domain import frames
from settlement.domain.errors import InvalidFrame, Refused
from settlement.domain.shadow import amounts

NAME = re.compile(r"(?:([A-Za-z_]\w*)\.)?([A-Za-z_]\w*)")
FORMER, OPENING = "core.paid_before", "core.opening_positions"
"""The names that the queries have for the relations which somebody chooses."""
ROWS = "json_to_recordset($2::json) as o (kind text, subject_id text, currency text, amount bigint)"

OpeningRow = tuple[str, str, str, int]
"""Kind, subject, currency and amount."""


class ShadowLendingCore(PostgresLendingCore):
    """The source database at a URL, whose opening positions are a relation, or rows, that somebody names, or none."""

    def __init__(self, url: str, *, opening: str | Sequence[OpeningRow] | None) -> None:
        super().__init__(url)
        self._opening = opening

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open the source as it stands at this moment; see `ports.LendingCore`."""
        with self._reading() as read, self._reading(beside=read) as read_beside:
            yield _Snapshot(read, read_beside, self._opening)

    def require(self, relation: str) -> str:
        """Return how the name of a relation is written in a query.

        Raises Refused: there is none of this name that can be read.
        """
        parts = NAME.fullmatch(relation)
        if parts is None:
            raise Refused(f"[{relation}] is neither a CSV or Parquet file nor the name of a relation, as [core.paid]")
        quoted = f'"{parts[1] or "core"}"."{parts[2]}"'
        with self._reading() as read:
            if not read("has_named", quoted)["is_there"].iloc[0]:
                raise Refused(f"The source has no relation [{relation}], and there is no file of this name")
        return quoted

    def former(self, relation: str) -> "FormerRelation":
        """Return what a relation of the source says was paid.

        Raises Refused: it is not there, or lacks what is needed.
        """
        return FormerRelation(self, self.require(relation), said=relation)

    def rows(self, query: str, *parameters: object, relation: str) -> pd.DataFrame:
        """Return the rows of a query about what was paid before."""
        with self._reading() as read:
            return read(query, *parameters, relations={FORMER: relation})


class _Snapshot(Snapshot):
    def __init__(self, read: object, read_beside: object, opening: str | Sequence[OpeningRow] | None) -> None:
        super().__init__(read, read_beside)  # type: ignore[arg-type]  # it is what `_reading` yields
        self._opening = opening

    def opening(self, opens_at: datetime) -> pd.DataFrame:
        """Return the opening positions that were named, where the first window opens at an instant."""
        if self._opening is None:
            return frames.build(frames.OPENING)
        if isinstance(self._opening, str):
            found = self._read("opening", opens_at, relations={OPENING: self._opening})
        else:
            names = ("kind", "subject_id", "currency", "amount")
            rows = json.dumps([dict(zip(names, row, strict=True)) for row in self._opening])
            found = self._read("opening", opens_at, rows, relations={f"{OPENING} o": ROWS})
        return frames.check(found, frames.OPENING)


class FormerRelation:
    """What a relation of the source says was paid; see `ports.FormerPayments`."""

    def __init__(self, core: ShadowLendingCore, relation: str, *, said: str) -> None:
        self._core, self._relation, self._said = core, relation, said
        columns = [*core.rows("former_columns", relation=relation).columns]
        try:
            self.given, self.has_currency = amounts.given_by(columns)
        except InvalidFrame as invalid:
            raise Refused(f"[{said}] cannot be used: {invalid}") from None

    def dates(self, since: date, until: date) -> list[date]:
        """Return the dates of a period, both included, on which it paid, in order."""
        found = self._core.rows("former_dates", since.isoformat(), until.isoformat(), relation=self._relation)
        return [at.date() for at in pd.to_datetime(found["settlement_date"])]

    def paid_on(self, on: date) -> pd.DataFrame:
        """Return what it paid on a date."""
        found = self._core.rows("former_paid", on.isoformat(), relation=self._relation)
        try:
            return amounts.checked(found, self.given)
        except InvalidFrame as invalid:
            raise Refused(f"[{self._said}] cannot be used: {invalid}") from None
