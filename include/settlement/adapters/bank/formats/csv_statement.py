"""Reading a bank's CSV export by a declared map of its columns.

A CSV says neither what it is nor what its columns mean, so a person declares it once per bank (`ColumnMap`); nothing is
guessed but the encoding and the delimiter, and those are proven by the header that then must be found.

1. Decoded as UTF-8 (with or without BOM) or CP949, the first in which the declared header stands. Lines above the
   header are the bank's title; the account may be found there.
2. One row is one movement: money in and money out in columns of their own, or one signed amount. Thousands separators
   must stand where they belong ("1,23" is refused, not 123), a currency sign may stand around an amount.
3. The balance after each row proves the row before it is used: balance before + amount = balance after, in the order
   that the export has (oldest or newest first, whichever the balances prove). So opening and closing are known.
4. A row of totals, where there is one, must agree.

One `Statement` per booking date, because an export covers whatever period somebody asked for. Only whole days make a
statement that stays true: export up to yesterday. Known limit: an export without running balances proves nothing and is
refused.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby, pairwise

from settlement.adapters.bank.formats.document import LARGEST_MESSAGE
from settlement.domain import currencies
from settlement.domain.bank.statement import Movement, Statement, prove
from settlement.domain.errors import UnreadableMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """What the columns of one bank's export mean, by the names in its header.

    Either `money_in` and `money_out`, or `amount` (credit positive). `account` is ours, or the label behind which the
    export itself names it in a line above the header. `remittance` are joined in their order. `totals` are the words
    with which a row of totals begins.
    """

    currency: str
    booked_on: str
    balance: str
    account: str | None = None
    account_label: str | None = None
    money_in: str | None = None
    money_out: str | None = None
    amount: str | None = None
    remittance: tuple[str, ...] = ()
    end_to_end_id: str | None = None
    reference: str | None = None
    bank_reference: str | None = None
    counterparty_account: str | None = None
    bank_code: str | None = None
    totals: tuple[str, ...] = ("합계", "총계", "계")

    def columns(self) -> set[str]:
        """Return every column that the header must have."""
        named = (
            self.booked_on,
            self.balance,
            self.money_in,
            self.money_out,
            self.amount,
            self.end_to_end_id,
            self.reference,
            self.bank_reference,
            self.counterparty_account,
            self.bank_code,
            *self.remittance,
        )
        return {name for name in named if name}


KOREAN_EXPORT = ColumnMap(
    currency="KRW",
    booked_on="거래일시",
    money_in="입금액",
    money_out="출금액",
    balance="거래후잔액",
    account_label="계좌번호",
    remittance=("적요", "거래특이사항"),
    bank_reference="거래번호",
)
"""The export of a Korean bank's internet banking, as an example to copy and change."""

_ENCODINGS = ("utf-8-sig", "cp949")
_DELIMITERS = ",\t;|"
_DATE = re.compile(
    r"(\d{4})([-./]|년 ?)?(\d{1,2})(?:[-./]|월 ?)?(\d{1,2})일?\.?(?:[ T]+\d{1,2}:\d{2}(?::\d{2})?)?", re.ASCII
)
_AMOUNT = re.compile(r"([-+]?)(?:₩|￦|KRW)? ?([-+]?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)? ?(?:원|KRW)?", re.ASCII)
_EXCEL_TEXT = re.compile(r'="(.*)"')


def read(content: bytes, columns: ColumnMap) -> tuple[Statement, ...]:
    """Return one statement per booking date of the export, the oldest first. Raises UnreadableMessage."""
    if len(content) > LARGEST_MESSAGE:
        raise UnreadableMessage(f"{len(content)} bytes are more than the {LARGEST_MESSAGE} that are read")
    rows, header_at = _rows(content, columns)
    account = _account(rows[:header_at], columns)
    header = [cell.strip() for cell in rows[header_at].cells]
    entries: list[_Entry] = []
    totals: _Row | None = None
    for row in rows[header_at + 1 :]:
        if not any(cell.strip() for cell in row.cells):
            continue
        if totals is not None:
            raise UnreadableMessage("a row stands behind the row of totals", line=row.line)
        if row.cells[0].strip() in columns.totals:
            totals = row
        else:
            entries.append(_entry(row, header, columns))
    if not entries:
        raise UnreadableMessage("the export holds no movement, so nothing in it proves a balance")
    ordered = _in_order(entries)
    if totals is not None:
        _prove_totals(totals, header, columns, ordered)
    return tuple(_days(ordered, account, columns.currency))


# --------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    cells: list[str]
    line: int


def _rows(content: bytes, columns: ColumnMap) -> tuple[list[_Row], int]:
    """Return the rows and the place of the header, in the first encoding and delimiter in which it is found."""
    if b"\0" in content:
        raise UnreadableMessage("it holds a NUL: it is not text")
    is_text, broken = False, None
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        is_text = True
        for delimiter in _DELIMITERS:
            try:
                rows = _cut(text, delimiter)
            except UnreadableMessage as failure:
                broken = broken or failure
                continue
            for place, row in enumerate(rows[:50]):
                if columns.columns() <= {cell.strip() for cell in row.cells}:
                    return rows, place
    if not is_text:
        raise UnreadableMessage(f"the export is written in none of {', '.join(_ENCODINGS)}")
    raise broken or UnreadableMessage(f"no line has the declared columns {sorted(columns.columns())}")


def _cut(text: str, delimiter: str) -> list[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            rows.append(_Row(cells=[_plain(cell) for cell in cells] or [""], line=line))
            line = reader.line_num + 1
    except csv.Error as broken:
        raise UnreadableMessage(f"not a CSV: {broken}", line=line) from broken
    return rows


def _plain(cell: str) -> str:
    """Take off the ="…" with which exports keep spreadsheets from turning a number into another."""
    found = _EXCEL_TEXT.fullmatch(cell.strip())
    return found[1] if found else cell


def _account(title: Sequence[_Row], columns: ColumnMap) -> str:
    if columns.account:
        return columns.account
    for row in title:
        for place, cell in enumerate(row.cells):
            label, _, behind = cell.strip().partition(":")
            if columns.account_label and label.strip() == columns.account_label:
                named = behind or next((other for other in row.cells[place + 1 :] if other.strip()), "")
                if account := "".join(named.split()):
                    return account
    raise UnreadableMessage(f"no line above the header names the account behind [{columns.account_label}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A row that was read: its movement, and the balance that the bank states after it."""

    movement: Movement
    money_in: int
    money_out: int
    balance: int
    line: int


def _entry(row: _Row, header: list[str], columns: ColumnMap) -> _Entry:
    if any(cell.strip() for cell in row.cells[len(header) :]):
        raise UnreadableMessage(f"a row has {len(row.cells)} cells, the header {len(header)}", line=row.line)

    def cell(name: str | None) -> str:
        place = header.index(name) if name else len(row.cells)
        return row.cells[place].strip() if place < len(row.cells) else ""

    def money(name: str | None) -> int:
        return _amount(cell(name), columns.currency, row.line)

    money_in, money_out = money(columns.money_in), money(columns.money_out)
    if money_in and money_out:
        raise UnreadableMessage("a row has money in and money out", line=row.line)
    if not cell(columns.balance):
        raise UnreadableMessage(f"a row has no [{columns.balance}]", line=row.line)
    booked_on = _date(cell(columns.booked_on), row.line)
    return _Entry(
        movement=Movement(
            booking_date=booked_on,
            value_date=None,
            amount=money(columns.amount) + money_in - money_out,
            end_to_end_id=cell(columns.end_to_end_id) or None,
            reference=cell(columns.reference) or None,
            bank_reference=cell(columns.bank_reference) or None,
            remittance="\n".join(text for name in columns.remittance if (text := cell(name))),
            bank_code=cell(columns.bank_code),
            is_reversal=money_in < 0 or money_out < 0,
            counterparty_account=cell(columns.counterparty_account) or None,
        ),
        money_in=money_in,
        money_out=money_out,
        balance=money(columns.balance),
        line=row.line,
    )


def _date(text: str, line: int) -> date:
    shape = _DATE.fullmatch(text)
    # Without separators the day and the month need their two digits: 2026111 could be two days.
    if shape is None or (not shape[2] and len(shape[3] + shape[4]) != 4):
        raise UnreadableMessage(f"[{text[:40]}] is not a date that begins with its year", line=line)
    try:
        return date(int(shape[1]), int(shape[3]), int(shape[4]))
    except ValueError:
        raise UnreadableMessage(f"[{text[:40]}] is not a date", line=line) from None


def _amount(text: str, currency: str, line: int) -> int:
    if text in ("", "-"):
        return 0
    bracketed = text.startswith("(") and text.endswith(")")
    shape = _AMOUNT.fullmatch(text[1:-1].strip() if bracketed else text)
    if shape is None or (shape[1] and shape[2]):
        raise UnreadableMessage(f"[{text[:40]}] is not an amount", line=line)
    try:
        amount = currencies.from_decimal_text(shape[3].replace(",", "") + (shape[4] or ""), currency)
    except ValueError as wrong:
        raise UnreadableMessage(str(wrong), line=line) from wrong
    return -amount if bracketed or "-" in (shape[1], shape[2]) else amount


# ------------------------------------------------------------------------------------------------------------- proofs


def _in_order(entries: list[_Entry]) -> list[_Entry]:
    """Return the entries oldest first: in the order in which each balance explains the next one.

    Raises UnreadableMessage at the first row that neither order explains.
    """
    wrong: list[int] = []
    for ordered in (entries, entries[::-1]):
        broken = next(
            (
                later.line
                for earlier, later in pairwise(ordered)
                if earlier.balance + later.movement.amount != later.balance
                or earlier.movement.booking_date > later.movement.booking_date
            ),
            None,
        )
        if broken is None:
            return ordered
        wrong.append(broken)
    is_newest_first = entries[0].movement.booking_date > entries[-1].movement.booking_date
    raise UnreadableMessage("the balance of a row does not follow from the row before it", line=wrong[is_newest_first])


def _prove_totals(totals: _Row, header: list[str], columns: ColumnMap, entries: list[_Entry]) -> None:
    for name, held in (
        (columns.money_in, sum(entry.money_in for entry in entries)),
        (columns.money_out, sum(entry.money_out for entry in entries)),
    ):
        place = header.index(name) if name else len(totals.cells)
        text = totals.cells[place].strip() if place < len(totals.cells) else ""
        if text and _amount(text, columns.currency, totals.line) != held:
            raise UnreadableMessage(f"the total of [{name}] is [{text}], the rows sum to [{held}]", line=totals.line)


def _days(entries: list[_Entry], account: str, currency: str) -> Iterator[Statement]:
    for booked_on, group in groupby(entries, key=lambda entry: entry.movement.booking_date):
        day = list(group)
        yield prove(
            statement_id=f"{account}:{booked_on.isoformat()}",
            sequence=None,
            account=account,
            currency=currency,
            business_date=booked_on,
            from_date=booked_on,
            to_date=booked_on,
            opening=day[0].balance - day[0].movement.amount,
            closing=day[-1].balance,
            movements=[entry.movement for entry in day if entry.movement.amount],
            line=day[0].line,
        )
