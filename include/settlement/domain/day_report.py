"""The report of a day as plain tables: what a workbook and CSV files say, whatever writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

Cell = str | int | date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table: its name, its columns, its rows. A `str` is text even if it looks like a number or a formula."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """The tables of one settlement date."""

    settlement_date: date
    revision: int
    sheets: tuple[Sheet, ...]

    @property
    def name(self) -> str:
        """The name of its files, without an ending."""
        return f"settlement-{self.settlement_date.isoformat()}-r{self.revision}"
