"""The lending core, read by ADBC: whole columns as Arrow, in one repeatable-read snapshot that can write nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

import adbc_driver_manager
import pandas as pd
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from sqlalchemy.engine import make_url

from settlement.domain.days import SettlementCalendar
from settlement.domain.matching import Subject
from settlement.domain.payouts import Payee
from settlement.ports import BooksView, Refused, Unavailable

SEPARATOR = "\x1f"
TEXT = pd.StringDtype(na_value=float("nan"))
DTYPES: dict[str, Any] = {
    "disbursed_on": "datetime64[s]",
    "held_from": "datetime64[s]",
    "held_until_exclusive": "datetime64[s]",
    "due_on": "datetime64[s]",
    "received_at": "datetime64[us, UTC]",
    "principal": "int64",
    "amount": "int64",
    "installment_no": "int64",
}


class PostgresLendingCore:
    """The source database at a `postgresql+psycopg://` URL."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._uri = self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    def facts(
        self,
        *,
        day: date,
        calendar: SettlementCalendar,
        view: BooksView,
        taken: Callable[[Sequence[str]], set[str]],
    ) -> dict[str, pd.DataFrame]:
        """Return the source's side of the day's inputs; see `ports.LendingCore`.

        Late arrivals are found by counting: a settled window in which the source has more receipts than the ledger has
        taken is read, and what is not taken yet is late.
        """
        with self._snapshot() as read:
            window = calendar.window(day)
            found = [read("received", window.from_at, window.until_at_exclusive)]
            for late in self._windows_with_more(read, calendar, view):
                found.append(read("received", late.from_at, late.until_at_exclusive))
            repayments = pd.concat(found, ignore_index=True)
            booked = taken(repayments["repayment_id"].tolist())
            repayments = repayments[~repayments["repayment_id"].isin(booked)]
            if view.retry:
                repayments = pd.concat([repayments, read("repayments", _joined(view.retry))], ignore_index=True)
            repayments = repayments.sort_values("repayment_id", ignore_index=True)
            loan_ids = _joined(sorted({*repayments["loan_id"], *view.credit_loans}))
            originals = repayments["reverses_repayment_id"].dropna().unique().tolist()
            keys = {"loans": "loan_id", "notes": "note_id", "holdings": "note_id", "investors": "investor_id",
                    "receivables": "receivable_id"}  # fmt: skip
            of_loans = {
                name: read(name, loan_ids).sort_values(
                    [key, "held_from"] if name == "holdings" else key, ignore_index=True
                )
                for name, key in keys.items()
            }
            return {**of_loans, "repayments": repayments, "originals": read("repayments", _joined(originals))}

    def payees(self, investor_ids: Sequence[str]) -> dict[str, Payee]:
        """Return who is to be paid where, by investor."""
        with self._snapshot() as read:
            rows = read("payees", _joined(investor_ids))
        return {
            row.investor_id: Payee(
                investor_id=row.investor_id,
                name=row.name,
                status=row.status,
                account=None if pd.isna(row.payout_account) else row.payout_account,
                bank=None if pd.isna(row.payout_bank) else row.payout_bank,
            )
            for row in rows.itertuples(index=False)
        }

    def received_at(self, repayment_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these repayments came."""
        with self._snapshot() as read:
            rows = read("repayments", _joined(repayment_ids))
        return dict(zip(rows["repayment_id"], rows["received_at"], strict=True))

    def receipts(self, *, references: Sequence[str], repayment_ids: Sequence[str]) -> list[Subject]:
        """Return the receipts, as a statement line would show them, that carry one of the references or ids."""
        with self._snapshot() as read:
            rows = read("receipts", _joined(references), _joined(repayment_ids))
        return [
            Subject(
                kind="receipt" if pd.isna(row.reverses_repayment_id) else "receipt_undone",
                subject_id=row.repayment_id,
                amount=row.amount if pd.isna(row.reverses_repayment_id) else -row.amount,
                currency=row.currency,
                reference="" if pd.isna(row.bank_reference) else row.bank_reference,
            )
            for row in rows.itertuples(index=False)
        ]

    def _windows_with_more(
        self, read: Callable[..., pd.DataFrame], calendar: SettlementCalendar, view: BooksView
    ) -> list[Any]:
        windows = {on: calendar.window(on) for on in view.settled}
        boundaries = sorted({instant for window in windows.values() for instant in window})
        if not boundaries:
            return []
        counted = read("counts", ",".join(instant.isoformat() for instant in boundaries))
        by_bucket = dict(zip(counted["bucket"].tolist(), counted["receipts"].tolist(), strict=True))
        place = {instant: number for number, instant in enumerate(boundaries, start=1)}
        return [
            window
            for on, window in windows.items()
            if by_bucket.get(place[window.from_at], 0) > view.taken_counts.get(on, 0)
        ]

    @contextmanager
    def _snapshot(self) -> Iterator[Callable[..., pd.DataFrame]]:
        where = f"[{self._url.host or self._url.query.get('host') or 'localhost'}/{self._url.database}]"
        try:
            with dbapi.connect(self._uri, autocommit=True) as connection, connection.cursor() as cursor:
                cursor.execute("begin isolation level repeatable read, read only")

                def read(name: str, *parameters: Any) -> pd.DataFrame:
                    texts = [p.isoformat() if isinstance(p, datetime) else p for p in parameters]
                    cursor.execute(_sql(name), parameters=texts)
                    return _frame(cursor.fetch_arrow_table())

                yield read
                cursor.execute("rollback")
        except adbc_driver_manager.OperationalError as error:
            raise Unavailable(f"Lending core {where} does not answer: {_reason(error)}") from None
        except adbc_driver_manager.Error as error:
            raise Refused(
                f"Lending core {where} cannot be read: {_reason(error)} - the six relations of schema core must exist and"
                " be readable for the login of connection [lending_core]"
            ) from None


@cache
def _sql(name: str) -> str:
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def _joined(ids: Sequence[str]) -> str:
    return SEPARATOR.join(ids)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas(types_mapper=lambda kind: TEXT if pa.types.is_string(kind) else None, date_as_object=False)
    return frame.astype({name: dtype for name, dtype in DTYPES.items() if name in frame.columns})


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
