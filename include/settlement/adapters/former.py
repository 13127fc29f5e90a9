"""Files that somebody brings of a former system: what it paid, and where it stood. CSV (UTF-8) or Parquet.

A file is read date by date, so that a month of a large lender needs the memory of one of its dates.
"""

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds

from settlement.domain.errors import InvalidFrame, Refused
from settlement.domain.shadow import amounts
from settlement.domain.shadow.causes import AMOUNTS, KEY

KINDS = (".csv", ".parquet")
ON = "settlement_date"
TYPES = {ON: pa.date32()} | {name: pa.string() for name in KEY} | {name: pa.int64() for name in AMOUNTS}
OPENING_TYPES = {"kind": pa.string(), "subject_id": pa.string(), "currency": pa.string(), "amount": pa.int64()}


def is_file(named: str) -> bool:
    """Tell whether a name is meant for a file: there is one, or it ends as one of these does."""
    return named.lower().endswith(KINDS) or Path(named).exists()


class FormerFile:
    """What a file says was paid; see `ports.FormerPayments`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = _dataset(path, TYPES)
        try:
            self.given, self.has_currency = amounts.given_by(self._rows.schema.names)
        except InvalidFrame as invalid:
            raise Refused(f"[{path}] cannot be used: {invalid}") from None
        if not pa.types.is_date(self._rows.schema.field(ON).type):
            raise Refused(f"[{path}] cannot be used: [{ON}] holds no dates, which are written 2026-02-16")

    def dates(self, since: date, until: date) -> list[date]:
        """Return the dates of a period, both included, on which it paid, in order."""
        within = (pc.field(ON) >= pa.scalar(since)) & (pc.field(ON) <= pa.scalar(until))
        return sorted(self._table([ON], within)[ON].unique().to_pylist())

    def paid_on(self, on: date) -> pd.DataFrame:
        """Return what it paid on a date."""
        names = ["loan_id", "investor_id", *(["currency"] if self.has_currency else []), *self.given]
        try:
            return amounts.checked(self._table(names, pc.field(ON) == pa.scalar(on)).to_pandas(), self.given)
        except InvalidFrame as invalid:
            raise Refused(f"[{self._path}] cannot be used: {invalid}") from None

    def _table(self, names: list[str], where: object) -> pa.Table:
        try:
            return self._rows.to_table(columns=names, filter=where)
        except pa.ArrowException as error:
            raise Refused(f"[{self._path}] cannot be read: {_first_line(error)}") from None


def opening_rows(path: Path) -> list[tuple[str, str, str, int]]:
    """Return the opening positions of a file: kind, subject, currency and amount.

    Raises Refused: it cannot be read, or lacks a column.
    """
    rows = _dataset(path, OPENING_TYPES)
    if missing := [name for name in OPENING_TYPES if name not in rows.schema.names]:
        raise Refused(f"[{path}] cannot be used: it has no column {missing}")
    try:
        table = rows.to_table(columns=[*OPENING_TYPES])
    except pa.ArrowException as error:
        raise Refused(f"[{path}] cannot be read: {_first_line(error)}") from None
    kinds, subjects, currencies, sums = (table[name].to_pylist() for name in OPENING_TYPES)
    if not all(isinstance(amount, int | None) for amount in sums):
        raise Refused(f"[{path}] cannot be used: [amount] holds no whole numbers")
    texts = [["" if value is None else str(value) for value in column] for column in (kinds, subjects, currencies)]
    return list(zip(*texts, [amount or 0 for amount in sums], strict=True))


def _dataset(path: Path, types: dict[str, pa.DataType]) -> ds.Dataset:
    """Return the rows of a file, whose known columns are of these types in CSV."""
    options = pyarrow.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    is_csv = path.suffix.lower() != ".parquet"
    try:
        return ds.dataset(path, format=ds.CsvFileFormat(convert_options=options) if is_csv else "parquet")
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"[{path}] cannot be read: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
