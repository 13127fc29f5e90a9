"""Reading a bank's CSV export by a declared map of its columns.

A CSV says neither what it is nor what its columns mean, so a person declares it once per bank (`ColumnMap`); nothing is
guessed but the encoding and the delimiter, and those are proven by the header that then must be found.

1. Decoded as UTF-8 (with or without BOM) or CP949, the first in which the declared header stands. Lines above the
   header are the bank's title; the account may be found there.
2. One row is one movement: money in and money out in columns of their own, one signed amount, or an amount beside a
   column that says debit or credit. Thousands separators must stand where they belong ("1,23" is refused, not 123), the
   currency's sign may stand around an amount. A date begins with its year, unless the map declares another order.
3. The balance after each row proves the row before it is used: balance before + amount - charge = balance after, in the
   order that the export has (oldest or newest first, whichever the balances prove). So opening and closing are known.
   Where both orders hold (a day of +5 and -5), the times of the rows tell; where they do not, the statement carries two
   readings, and the account's other statements tell.
4. A row of totals, where there is one, must agree.

One `Statement` per booking date, because an export covers whatever period somebody asked for. A day behind which
another stands is over; nothing in the export tells it of the last one, which is whole only if the export is known to be
of a later day. Known limit: an export without running balances proves nothing and is refused.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cache
from itertools import groupby, pairwise
from typing import Literal

from settlement.domain import currencies
from settlement.domain.bank.messages import LARGEST_MESSAGE
from settlement.domain.bank.statement import Movement, Statement, bounded, prove
from settlement.domain.errors import UnreadableMessage

_ENCODINGS = ("utf-8-sig", "cp949")
_DELIMITERS = ",\t;|"
_TIME = r"(?P<time>\d{1,2}:\d{2}(?::\d{2})?)"
_DATES = {
    "ymd": re.compile(
        rf"(?P<y>\d{{4}})(?P<apart>[-./]|년 ?)?(?P<m>\d{{1,2}})(?:[-./]|월 ?)?(?P<d>\d{{1,2}})일?\.?(?:[ T]+{_TIME})?",
        re.ASCII,
    ),
    "dmy": re.compile(
        rf"(?P<d>\d{{1,2}})(?P<apart>[-./])(?P<m>\d{{1,2}})[-./](?P<y>\d{{4}}|\d{{2}})(?:[ T,]+{_TIME})?", re.ASCII
    ),
    "mdy": re.compile(
        rf"(?P<m>\d{{1,2}})(?P<apart>[-./])(?P<d>\d{{1,2}})[-./](?P<y>\d{{4}}|\d{{2}})(?:[ T,]+{_TIME})?", re.ASCII
    ),
}
_GROUPS = {".": "[,'’]", ",": "[.'’ \u00a0\u202f]"}
"""What may stand between thousands, by the sign of the decimals."""
_SIGNS = {"KRW": "₩|￦", "EUR": "€", "USD": r"\$", "GBP": "£", "JPY": "¥|￥"}
_EXCEL_TEXT = re.compile(r'="(.*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """What the columns of one bank's export mean, by the names in its header.

    Either `money_in` and `money_out`, or `amount`: credit positive, or with a column `direction` that says one of the
    words of `debit` or `credit`. `account` is ours, or the label behind which the export itself names it in a line
    above the header. `charge` is what the bank took beside the money of a row, which becomes a line of its own.
    `booked_time` is the time of a row where `booked_on` is only its date. `remittance` are joined in their order.
    `totals` are the words with which a row of totals begins. `date_order` and `decimal` are how the bank writes dates
    and amounts.

    Raises ValueError: it does not say where the money, the account or the balance stands, or says it twice.
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
    file_id: str | None = None
    booked_time: str | None = None
    charge: str | None = None
    direction: str | None = None
    debit: tuple[str, ...] = ()
    credit: tuple[str, ...] = ()
    date_order: Literal["ymd", "dmy", "mdy"] = "ymd"
    decimal: Literal[".", ","] = "."
    totals: tuple[str, ...] = ("합계", "총계", "계")

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            several = field.name in ("remittance", "debit", "credit", "totals")
            parts = value if isinstance(value, tuple) else (value,)
            if isinstance(value, tuple) != several or not all(isinstance(part, str | None) for part in parts):
                raise ValueError(f"{field.name} [{value}] is not {'a list of texts' if several else 'a text'}")
        currencies.exponent(self.currency)
        if not self.balance or not self.booked_on:
            raise ValueError("booked_on and balance name columns: without running balances an export proves nothing")
        if bool(self.amount) == bool(self.money_in and self.money_out) or bool(self.money_in) != bool(self.money_out):
            raise ValueError("it names money_in and money_out, or amount, and not both")
        if bool(self.direction) != bool(self.debit and self.credit) or (self.direction and not self.amount):
            raise ValueError("direction stands beside amount, with the words of debit and those of credit")
        if not (self.account or self.account_label):
            raise ValueError("it names account, or the account_label behind which the export names it")
        if self.date_order not in _DATES or self.decimal not in _GROUPS:
            raise ValueError(f"date_order is one of {', '.join(_DATES)}, decimal one of {' '.join(_GROUPS)}")

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
            self.file_id,
            self.booked_time,
            self.charge,
            self.direction,
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
    if totals is not None:
        _prove_totals(totals, header, columns, entries)
    read, *otherwise = [_days(ordered, account, columns.currency) for ordered in _orders(entries)]
    if otherwise and otherwise[0][0].content_key != read[0].content_key:  # then all rows are of one day
        return (replace(read[0], otherwise=otherwise[0][0]),)
    return read


# --------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    cells: list[str]
    line: int


def _rows(content: bytes, columns: ColumnMap) -> tuple[list[_Row], int]:
    """Return the rows and the place of the header, in the first encoding and delimiter in which it is found."""
    content = content.rstrip(b"\0\x1a")
    if b"\0" in content:
        raise UnreadableMessage("it holds a NUL: it is not text")
    wanted = columns.columns()
    is_text, broken, nearest = False, None, (0, 0, wanted)
    for encoding in _ENCODINGS:
        try:
            text = re.sub(r"\A(\s*)\ufeff", r"\1", content.decode(encoding))
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
                lacking = wanted - {cell.strip() for cell in row.cells}
                if not lacking:
                    return rows, place
                nearest = max(nearest, (len(wanted) - len(lacking), row.line, lacking), key=lambda found: found[0])
    if not is_text:
        raise UnreadableMessage(f"the export is written in none of {', '.join(_ENCODINGS)}")
    held, line, lacking = nearest
    if held:
        proof = "; without running balances an export proves nothing" if columns.balance in lacking else ""
        raise UnreadableMessage(f"of the declared columns, the header lacks {sorted(lacking)}{proof}", line=line)
    raise broken or UnreadableMessage(f"no line has the declared columns {sorted(wanted)}")


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
    """A row that was read: its movement, what the bank charged for it, and the balance that it states after both."""

    movement: Movement
    charge: Movement
    money_in: int
    money_out: int
    balance: int
    time: tuple[int, ...] | None
    line: int

    @property
    def moved(self) -> int:
        return self.movement.amount + self.charge.amount


def _entry(row: _Row, header: list[str], columns: ColumnMap) -> _Entry:
    if any(cell.strip() for cell in row.cells[len(header) :]):
        raise UnreadableMessage(f"a row has {len(row.cells)} cells, the header {len(header)}", line=row.line)

    def cell(name: str | None) -> str:
        place = header.index(name) if name else len(row.cells)
        return row.cells[place].strip() if place < len(row.cells) else ""

    def money(name: str | None) -> int:
        return _amount(cell(name), columns, row.line)

    money_in, money_out = money(columns.money_in), money(columns.money_out)
    if money_in and money_out:
        raise UnreadableMessage("a row has money in and money out", line=row.line)
    if not cell(columns.balance):
        raise UnreadableMessage(f"a row has no [{columns.balance}]", line=row.line)
    booked_on, time = _date(" ".join((cell(columns.booked_on), cell(columns.booked_time))).strip(), columns, row.line)
    amount = money(columns.amount)
    is_reversal = money_in < 0 or money_out < 0 or (columns.direction is not None and amount < 0)
    if columns.direction and amount:
        amount *= _sign(cell(columns.direction), columns, row.line)
    movement = Movement(
        booking_date=booked_on,
        value_date=None,
        amount=amount + money_in - money_out,
        end_to_end_id=cell(columns.end_to_end_id) or None,
        reference=cell(columns.reference) or None,
        bank_reference=cell(columns.bank_reference) or None,
        file_id=cell(columns.file_id) or None,
        remittance="\n".join(text for name in columns.remittance if (text := cell(name))),
        bank_code=cell(columns.bank_code),
        is_reversal=is_reversal,
        counterparty_account=cell(columns.counterparty_account) or None,
    )
    charge = Movement(
        booking_date=booked_on,
        value_date=None,
        amount=-money(columns.charge),
        bank_reference=movement.bank_reference,
        is_charge=True,
    )
    return _Entry(
        movement=bounded(movement, line=row.line),
        charge=charge,
        money_in=money_in,
        money_out=money_out,
        balance=money(columns.balance),
        time=time,
        line=row.line,
    )


def _date(text: str, columns: ColumnMap, line: int) -> tuple[date, tuple[int, ...] | None]:
    """Return the date of a row and the time, hour and minute at least, where it has one."""
    shape = _DATES[columns.date_order].fullmatch(text)
    # Without separators the day and the month need their two digits: 2026111 could be two days.
    if shape is None or (not shape["apart"] and len(shape["m"] + shape["d"]) != 4):
        raise UnreadableMessage(f"[{text[:40]}] is not a date in the order [{columns.date_order}]", line=line)
    year = int(shape["y"]) + (2000 if len(shape["y"]) == 2 else 0)
    try:
        on = date(year, int(shape["m"]), int(shape["d"]))
    except ValueError:
        raise UnreadableMessage(f"[{text[:40]}] is not a date", line=line) from None
    return on, tuple(map(int, shape["time"].split(":"))) if shape["time"] else None


def _sign(word: str, columns: ColumnMap, line: int) -> int:
    for sign, words in ((1, columns.credit), (-1, columns.debit)):
        if word.casefold() in map(str.casefold, words):
            return sign
    raise UnreadableMessage(
        f"[{word[:40]}] in [{columns.direction}] is none of {list(columns.debit + columns.credit)}", line=line
    )


def _amount(text: str, columns: ColumnMap, line: int) -> int:
    if text in ("", "-"):
        return 0
    bracketed = text.startswith("(") and text.endswith(")")
    shape = _amount_shape(columns.currency, columns.decimal).fullmatch(text[1:-1].strip() if bracketed else text)
    signs = "".join(filter(None, shape.group("before", "within", "behind"))) if shape else ""
    if shape is None or len(signs) + bracketed > 1:
        raise UnreadableMessage(f"[{text[:40]}] is not an amount", line=line)
    whole, decimals = re.sub(r"\D", "", shape["whole"]), shape["decimals"]
    try:
        amount = currencies.from_decimal_text(f"{whole}.{decimals}" if decimals else whole, columns.currency)
    except ValueError as wrong:
        raise UnreadableMessage(str(wrong), line=line) from wrong
    return -amount if bracketed or signs == "-" else amount


@cache
def _amount_shape(currency: str, decimal: str) -> re.Pattern[str]:
    dress = "|".join(filter(None, (_SIGNS.get(currency), currency, "원" if currency == "KRW" else "")))
    group = _GROUPS[decimal]
    return re.compile(
        rf"(?P<before>[-+])?(?:{dress})? ?(?P<within>[-+])?"
        rf"(?P<whole>\d{{1,3}}(?:{group}\d{{3}})+|\d+)(?:{re.escape(decimal)}(?P<decimals>\d+))?"
        rf"(?P<behind>[-+])? ?(?:{dress})?",
        re.ASCII,
    )


# ------------------------------------------------------------------------------------------------------------- proofs


def _orders(entries: list[_Entry]) -> list[list[_Entry]]:
    """Return the entries oldest first: in the order in which each balance explains the next one.

    Where both orders do, it is the one that the rows' times have; without times, or with equal ones, it is both.

    Raises UnreadableMessage at the first row that neither order explains.
    """
    wrong: list[int] = []
    holding: list[list[_Entry]] = []
    for ordered in (entries, entries[::-1]):
        broken = next(
            (
                later.line
                for earlier, later in pairwise(ordered)
                if earlier.balance + later.moved != later.balance
                or earlier.movement.booking_date > later.movement.booking_date
            ),
            None,
        )
        if broken is None:
            holding.append(ordered)
        else:
            wrong.append(broken)
    if not holding:
        is_newest_first = entries[0].movement.booking_date > entries[-1].movement.booking_date
        raise UnreadableMessage(
            "the balance of a row does not follow from the row before it", line=wrong[is_newest_first]
        )
    return [ordered for ordered in holding if _is_by_time(ordered)] or holding


def _is_by_time(ordered: list[_Entry]) -> bool:
    times = [entry.time for entry in ordered]
    return all(before and after and before <= after for before, after in pairwise(times))


def _prove_totals(totals: _Row, header: list[str], columns: ColumnMap, entries: list[_Entry]) -> None:
    for name, held in (
        (columns.money_in, sum(entry.money_in for entry in entries)),
        (columns.money_out, sum(entry.money_out for entry in entries)),
    ):
        place = header.index(name) if name else len(totals.cells)
        text = totals.cells[place].strip() if place < len(totals.cells) else ""
        if text and _amount(text, columns, totals.line) != held:
            raise UnreadableMessage(f"the total of [{name}] is [{text}], the rows sum to [{held}]", line=totals.line)


def _days(entries: list[_Entry], account: str, currency: str) -> tuple[Statement, ...]:
    """Return one statement per booking date; the last day may go on behind the export."""
    *over, last = _statements(entries, account, currency)
    return (*over, replace(last, may_go_on=True))


def _statements(entries: list[_Entry], account: str, currency: str) -> Iterator[Statement]:
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
            opening=day[0].balance - day[0].moved,
            closing=day[-1].balance,
            movements=[found for entry in day for found in (entry.movement, entry.charge) if found.amount],
            line=day[0].line,
        )
