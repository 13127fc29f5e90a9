"""Reading statements as MT940, in the dialects that banks write, and reports of a day that goes on as MT942.

1. The text is decoded (UTF-8, else CP949, else Latin-1: only names and remittance have such characters), the SWIFT
   envelope and bank headers are dropped, and fields are cut where a known tag begins a line. A line of a text that only
   looks like a field (a time, a number) is text: between the balances no field of the head can stand, and the others
   have their shapes.
2. Every `:20:` begins a statement, and a `:25:` where a bank writes no `:20:`. All `:86:` behind a `:61:` are its text.
   A page (`60M`, `62M`) without a number of its own is the one behind the page above it in the file. The lines (`:61:`)
   are taken apart by the patterns of the `mt-940` package, which knows how banks bend them (blank entry dates, funds
   codes, references that are too long), and so is the structured `:86:` of German and Polish banks. What decides about
   money is read here: as a whole that package merges a line without a type into the line before it, and finds nothing
   wrong with a statement without balances.
3. Opening (`60F`, or `60M` of a page) + lines = closing (`62F`, `62M`), and `:90D:`/`:90C:` hold where stated.
4. What has no balance and a `:34F:` or `:13D:` is a report (MT942): its lines notify, and it is no statement of a day.

A direction `RC` takes back a credit and is a debit; `RD` the other way round. A line's booking date is its entry date,
else its value date. A value date of 30 February, which banks that count 30 days to every month do write, is the last
day of February.

Known limits: a line that is expected and not booked (`EC`, `ED`) refuses a statement, and is only counted in a report.
A file of statements and reports together is refused.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import takewhile
from typing import Any

import mt940 as package

from settlement.domain import currencies
from settlement.domain.bank.messages import LARGEST_MESSAGE
from settlement.domain.bank.statement import (
    LONGEST_ID,
    LONGEST_TEXT,
    Movement,
    Notification,
    Statement,
    bounded,
    each_once,
    lines_of,
    prove,
    too_long,
)
from settlement.domain.errors import UnreadableMessage

_BEGINS = re.compile(rb"(?:^|[\r\n}])[ \t]*:(?:20|25P?):")
_GOES_ON = re.compile(rb"[\r\n][ \t]*:(?:25P?|28C?|60[FM]|61|86):")
"""The first field of a file, and what follows it: together they are in no other format."""
_FRAGMENT = re.compile(rb"\A[\s-]*:(?:20|21|25P?|28C?|60[FM]|61|62[FM]|64|86):")
"""A part of an MT940, cut from it: it is read for its refusal."""
_TAG = re.compile(r":(\d{2}[A-Z]?|NS):")
_KNOWN_TAGS = "13 13D 20 21 25 25P 28 28C 34F 60F 60M 61 62F 62M 64 65 86 90C 90D NS"
_KNOWN = frozenset(_KNOWN_TAGS.split(" "))
_BALANCE = re.compile(r"([CD])(\d{6})([A-Z]{3})([\d,]{1,20})", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}")
_EXPECTED = re.compile(r"\d{6}(?:\d{4})?E[CD]", re.ASCII)
_TOTAL = re.compile(r"(\d{1,5})?([A-Z]{3})([\d,]{1,20})", re.ASCII)
_NUMBER = re.compile(r"(\d{1,12}(?!\d))?\s*(?:/\s*(\d{1,5})(?!\d))?(?!\d|/\s*\d)", re.ASCII)
_HEAD = frozenset(("13", "13D", "20", "21", "25", "25P", "28", "28C", "34F"))
"""Fields that stand before the opening balance and nowhere else."""
_LONGEST_HEAD = 40
"""Lines that a bank writes between the beginning of a statement and its opening balance, at most."""
_SHAPES = {
    "61": re.compile(r" *\d{6}", re.ASCII),
    "90": re.compile(r" *\d{0,5}[A-Z]{3}", re.ASCII),
    "6": re.compile(r" *[CD]\d{6}[A-Z]{3}", re.ASCII),
}
"""How the content of a field begins, by the beginning of its tag: it tells a field from a text that looks like one."""
_CODED = re.compile(
    r"/(EREF|PREF|KREF|MREF|REMI|RTRN|IBAN|CNTP|NAME|BENM|ORDP|TRTP|CSID|MARF|BIC|ISDT|PURP|ULTD|ULTB|ADDR|SVCL)/"
)
"""The code words between slashes with which Dutch banks and others structure `:86:`."""

_LINE_PATTERNS = (package.tags.Statement(), package.tags.StatementGLS())
_DETAILS = package.tags.TransactionDetails()
_NOTHING = frozenset({"", "NONREF", "NOTPROVIDED", "NOT PROVIDED", "EREF", "KREF", "MREF", "PREF", "MARF"})
"""References that are none, or that only say under which word in `:86:` the reference stands."""
_RETURN_CODES = frozenset({"109", "159"})
"""German transaction codes (GVC) of a direct debit and of a credit transfer that came back."""


def looks_like(content: bytes) -> bool:
    """Say whether [content] begins as an MT940 does, behind whatever envelope or header a bank puts before it."""
    head = content[:4096].lstrip(b"\xef\xbb\xbf\0\x01\x1a")
    begins = _BEGINS.search(head)
    is_whole = begins is not None and _GOES_ON.search(head, begins.end()) is not None
    return is_whole or _FRAGMENT.match(head) is not None


def read(content: bytes) -> tuple[Statement, ...] | tuple[Notification, ...]:
    """Return the statements of an MT940 file, or the reports of an MT942, at least one. Raises UnreadableMessage."""
    if len(content) > LARGEST_MESSAGE:
        raise UnreadableMessage(f"{len(content)} bytes are more than the {LARGEST_MESSAGE} that are read")
    found: list[Statement] = []
    reports: list[Notification] = []
    for raw in _raw_statements(_decode(content)):
        if raw.is_report:
            reports.append(_report(raw))
        else:
            found.append(_statement(raw, found[-1] if found else None))
        if found and reports:
            raise UnreadableMessage("it holds statements and reports (MT942) together", line=raw.fields[0].line)
    if not found and not reports:
        raise UnreadableMessage("it holds no field :20: or :25:, with which an MT940 begins")
    return each_once(found) if found else tuple(reports)


def _decode(content: bytes) -> str:
    padded = content.rstrip(b"\0\x1a\x03 \t\r\n")
    if b"\0" in padded:
        raise UnreadableMessage("it holds a NUL: it is not text")
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return padded.decode(encoding)
        except UnicodeDecodeError:
            continue
    return padded.decode("latin-1")


# ------------------------------------------------------------------------------------------------------------- fields


@dataclass(slots=True, kw_only=True)
class _Field:
    tag: str
    text: str
    line: int


@dataclass(slots=True, kw_only=True)
class _Raw:
    fields: list[_Field] = field(default_factory=list)
    is_opened: bool = False
    is_closed: bool = False

    def add(self, found: _Field) -> None:
        self.fields.append(found)
        self.is_opened |= found.tag in ("60F", "60M")
        self.is_closed |= found.tag in ("62F", "62M")

    def go_on(self, line: str) -> None:
        """Let a line continue the last field. Raises UnreadableMessage if that becomes longer than any text is."""
        last = self.fields[-1]
        last.text += "\n" + line
        if len(last.text) > LONGEST_TEXT:
            raise UnreadableMessage(too_long(last.text, LONGEST_TEXT), line=last.line)

    def one(self, *tags: str) -> _Field:
        """Return the only field of these tags. Raises UnreadableMessage for none or several."""
        found = [candidate for candidate in self.fields if candidate.tag in tags]
        if len(found) != 1:
            names = " or ".join(f":{tag}:" for tag in tags)
            raise UnreadableMessage(f"the statement has {len(found)} fields {names}, not one", line=self.fields[0].line)
        return found[0]

    @property
    def has_begun(self) -> bool:
        """Its head is over: a balance or, in a report, a line has come."""
        return self.is_opened or (self.is_report and any(found.tag == "61" for found in self.fields))

    @property
    def is_report(self) -> bool:
        tags = {candidate.tag for candidate in self.fields}
        return not tags & {"60F", "60M", "62F", "62M"} and bool(tags & {"34F", "13D"})

    def perhaps(self, *tags: str) -> _Field | None:
        return next((candidate for candidate in self.fields if candidate.tag in tags), None)


def _raw_statements(text: str) -> Iterator[_Raw]:
    """Cut the text into statements and these into fields. A line that is no field continues the field above it."""
    lines = [_bare(given) for given in re.split(r"\r\n|\n|\r", text)]
    current: _Raw | None = None
    is_open = False
    for place, line in enumerate(lines):
        is_between = current is not None and current.is_opened and not current.is_closed
        if line == "" or line.startswith(("-}", "{")) or _is_end(line, current, is_between=is_between):
            is_open = is_open and line == ""
            continue
        begun = _TAG.match(line)
        tag = begun[1] if begun and begun[1] in _KNOWN else None
        if tag and is_open and current and current.has_begun and current.fields[-1].tag in ("61", "86", "NS"):
            tag = tag if _is_field(tag, lines, place, is_report=current.is_report) else None
        if begun and tag:
            if tag == "20" or (tag in ("25", "25P") and (current is None or current.is_closed)):
                if current is not None:
                    yield current
                current = _Raw()
            if current is None:
                raise UnreadableMessage(f"field :{tag}: stands before the first :20:", line=place + 1)
            current.add(_Field(tag=tag, text=line[begun.end() :], line=place + 1))
            is_open = True
        elif is_open and current is not None:
            current.go_on(line)
        elif begun:
            raise UnreadableMessage(f"field :{begun[1]}: is none of an MT940", line=place + 1)
    if current is not None:
        yield current


def _bare(line: str) -> str:
    """Return a line without the envelope before its first field and the marks with which files begin and end."""
    return re.sub(r"^\{.*\{4:", "", line.lstrip("\ufeff\x1a\x01\x03")).rstrip(" \t\x03\x1a")


def _is_end(line: str, current: "_Raw | None", *, is_between: bool) -> bool:
    """Say whether a line is the mark behind a statement: a dash, with a word where no text can go on."""
    is_behind = current is not None and current.is_closed and current.fields[-1].tag in ("62F", "62M", "64", "65")
    return (line.strip() == "-" and not is_between) or (line.startswith("-") and is_behind)


def _is_field(tag: str, lines: list[str], place: int, *, is_report: bool) -> bool:
    """Say whether a line behind a text, which begins as the field [tag] does, is one."""
    if tag in ("20", "25", "25P"):  # the next statement, if an opening balance comes before anything else of one
        ahead = lines[place + 1 : place + 1 + _LONGEST_HEAD]
        tags = [begun[1] for line in ahead if (begun := _TAG.match(line)) and _has_shape(begun[1], line)]
        head = list(takewhile(lambda found: not found.startswith("6"), tags))
        if is_report:  # the next report, if it has a number before its first line
            return "28C" in head or "28" in head
        return tags[len(head) : len(head) + 1] in (["60F"], ["60M"])
    return tag not in _HEAD and _has_shape(tag, lines[place])


def _has_shape(tag: str, line: str) -> bool:
    shape = next((shape for beginning, shape in _SHAPES.items() if tag.startswith(beginning)), None)
    return shape is None or shape.match(line, len(tag) + 2) is not None


# --------------------------------------------------------------------------------------------------------- statements


def _statement(raw: _Raw, before: Statement | None) -> Statement:
    """Return the statement that these fields say; [before] is the one above it in the file."""
    opens, closes = raw.one("60F", "60M"), raw.one("62F", "62M")
    opening, closing = _balance(opens), _balance(closes)
    if opening.currency != closing.currency:
        raise UnreadableMessage(
            f"the balances are in [{opening.currency}] and [{closing.currency}]", line=raw.fields[0].line
        )
    number, counted = _number(raw)
    sequence = int(counted[1] or 0) or None
    account = _account(raw.one("25", "25P"), closing.currency)
    page = _page(
        counted[2],
        opens,
        closes,
        before if before and (before.account, before.sequence) == (account, sequence) else None,
    )
    reference = raw.perhaps("20")
    name = number.text.strip() + (f"/{page}" if page and not counted[2] else "")
    movements = list(_movements(raw, closing.currency))
    _prove_totals(raw, movements, closing.currency)
    return prove(
        statement_id=":".join(([reference.text.strip()] if reference else []) + [name, closing.on.isoformat()]),
        sequence=sequence,
        account=account,
        currency=closing.currency,
        business_date=closing.on,
        from_date=opening.on,
        to_date=closing.on,
        opening=opening.amount,
        closing=closing.amount,
        movements=[movement for movement in movements if movement.amount],
        page=page,
        is_last=closes.tag == "62F",
        line=raw.fields[0].line,
    )


def _number(raw: _Raw) -> tuple[_Field, re.Match[str]]:
    number = raw.one("28", "28C")
    counted = _NUMBER.match(number.text.strip())
    if counted is None or not counted[0]:
        raise UnreadableMessage(f"[{number.text[:40]}] is not the number of a statement", line=number.line)
    return number, counted


def _report(raw: _Raw) -> Notification:
    """Return what a report of a day that goes on says, in the currency of its limit (`34F`) or of its totals."""
    named = next(
        (
            code[0]
            for tag in ("34F", "90D", "90C")
            if (found := raw.perhaps(tag)) and (code := _CURRENCY.search(found.text))
        ),
        None,
    )
    if named is None:
        raise UnreadableMessage("the report has no field :34F: that names its currency", line=raw.fields[0].line)
    account = _account(raw.one("25", "25P"), named)
    booked, expected = _booked(raw)
    movements = list(_movements(booked, named))
    _prove_totals(raw, movements, named)
    at, reference = raw.perhaps("13D"), raw.perhaps("20")
    parts = (found.text.strip() for found in (reference, _number(raw)[0], at) if found)
    name = ":".join(parts)
    if len(name) > LONGEST_ID:
        raise UnreadableMessage(too_long(name, LONGEST_ID), line=raw.fields[0].line)
    return Notification(
        notification_id=name,
        account=account,
        currency=named,
        lines=lines_of(
            [movement for movement in movements if movement.amount],
            statement_id=name,
            account=account,
            currency=named,
        ),
        not_booked=expected,
    )


def _booked(raw: _Raw) -> tuple[_Raw, int]:
    """Return a report without the lines that are only expected, and how many these are."""
    kept, expected, is_expected = [], 0, False
    for found in raw.fields:
        if found.tag != "86":
            is_expected = found.tag == "61" and _EXPECTED.match(found.text) is not None
            expected += is_expected
        if not is_expected:
            kept.append(found)
    return _Raw(fields=kept), expected


def _page(stated: str | None, opens: _Field, closes: _Field, before: Statement | None) -> int | None:
    """Return the number of a page, None for a statement in one piece and for a page of which it is not known.

    Where the bank does not number them, it is the one behind the page [before] of the same statement.
    """
    if (opens.tag, closes.tag) == ("60F", "62F"):
        return None
    if stated:
        return int(stated)
    if opens.tag == "60F":
        return 1
    return before.page + 1 if before and before.page and not before.is_last else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Balance:
    amount: int
    currency: str
    on: date


def _balance(found: _Field) -> _Balance:
    shape = _BALANCE.fullmatch(found.text.strip())
    if shape is None:
        raise UnreadableMessage(f"[{found.text[:40]}] is not a balance", line=found.line)
    amount = _amount(shape[4], shape[3], found)
    on = _date(shape[2][:2], shape[2][2:4], shape[2][4:], found)
    return _Balance(amount=amount if shape[1] == "C" else -amount, currency=shape[3], on=on)


def _account(found: _Field, currency: str) -> str:
    """Return the account without spaces and slashes around it, and without the currency that some banks put behind."""
    account = "".join(found.text.split("\n")[0].split()).removesuffix(currency).strip("/")
    if not account:
        raise UnreadableMessage("the statement names no account", line=found.line)
    return account


def _prove_totals(raw: _Raw, movements: list[Movement], currency: str) -> None:
    for tag, sign in (("90D", -1), ("90C", 1)):
        total = raw.perhaps(tag)
        if total is None:
            continue
        shape = _TOTAL.fullmatch(total.text.strip())
        if shape is None or shape[2] != currency:
            raise UnreadableMessage(f"[{total.text[:40]}] is not a count and a sum in {currency}", line=total.line)
        amounts = [abs(movement.amount) for movement in movements if movement.amount * sign > 0]
        stated = _amount(shape[3], currency, total)
        count = int(shape[1] or len(amounts))  # a total without a count says nothing of it
        if (count, stated) != (len(amounts), sum(amounts)):
            raise UnreadableMessage(
                f":{tag}: says [{count}] entries of [{stated}], there are [{len(amounts)}] of [{sum(amounts)}]",
                line=total.line,
            )


# ------------------------------------------------------------------------------------------------------------- lines


def _movements(raw: _Raw, currency: str) -> Iterator[Movement]:
    fields = raw.fields
    for place, found in enumerate(fields):
        if found.tag == "61":
            ends = next((at for at in range(place + 1, len(fields)) if fields[at].tag != "86"), len(fields))
            told = [following.text for following in fields[place + 1 : ends]]
            yield bounded(_movement(found, told, currency), line=found.line)


def _movement(found: _Field, told: list[str], currency: str) -> Movement:
    shape = _line(found)
    mark = shape["status"].upper()
    amount = _amount(shape["amount"], currency, found)
    value_date = _value_date(shape, found)
    type_code = (shape["id"] or "").strip()
    details = _details(told)
    reference, bank_reference = (_reference(shape[name]) for name in ("customer_reference", "bank_reference"))
    transaction_code = str(details.get("transaction_code") or "")
    return_reason = details.get("return_reason")
    return Movement(
        booking_date=_entry_date(shape, value_date, found),
        value_date=value_date,
        amount=-amount if mark in ("D", "RC") else amount,
        end_to_end_id=_reference(details.get("end_to_end_reference")),
        reference=_reference(details.get("customer_reference")) or reference,
        bank_reference=bank_reference,
        file_id=_reference(details.get("payment_reference")),
        remittance=_remittance(details, shape["extra_details"]),
        bank_code="+".join(part for part in (type_code, transaction_code) if part),
        is_return=type_code[1:] == "RTI"
        or transaction_code in _RETURN_CODES
        or details.get("return_reason") is not None,
        is_reversal=mark.startswith("R"),
        is_charge=type_code[1:] in ("CHG", "COM"),
        reason=return_reason or None,
        counterparty_account=_reference(details.get("applicant_iban")) or _reference(details.get("gvc_applicant_iban")),
    )


def _line(found: _Field) -> dict[str, Any]:
    """Take a line apart by the first of the package's patterns that fits it."""
    for pattern in _LINE_PATTERNS:
        text = found.text.strip()
        shape = pattern.re.match(text)
        if shape and text[shape.end("amount") :].startswith(tuple("0123456789,.")):
            raise UnreadableMessage(
                f"[{text[:40]}] has an amount that goes on behind [{shape['amount']}]", line=found.line
            )
        if shape:
            return dict(shape.groupdict())
    said = found.text.partition("\n")[0][:60]
    raise UnreadableMessage(f"[{said}] is not a statement line", line=found.line)


def _value_date(shape: dict[str, Any], found: _Field) -> date:
    year, month, given = shape["year"], shape["month"], shape["day"]
    if month == "02" and given in ("29", "30"):
        given = min(given, str(calendar.monthrange(_year(year), 2)[1]))
    return _date(year, month, given, found)


def _entry_date(shape: dict[str, Any], value_date: date, found: _Field) -> date:
    """Return the entry date, whose year is not written: it is the one that brings it closest to the value date."""
    month, given = (shape["entry_month"] or "").strip(), (shape["entry_day"] or "").strip()
    if not month and not given:
        return value_date
    candidates = []
    for year in (value_date.year - 1, value_date.year, value_date.year + 1):
        try:
            candidates.append(date(year, int(month), int(given)))
        except ValueError:
            continue
    if not candidates:
        raise UnreadableMessage(f"[{month}{given}] is not a day of a year", line=found.line)
    return min(candidates, key=lambda candidate: abs(candidate - value_date))


def _year(two_digits: str) -> int:
    return 1900 + int(two_digits) if int(two_digits) >= 80 else 2000 + int(two_digits)


def _date(year: str, month: str, given: str, found: _Field) -> date:
    try:
        return date(_year(year), int(month), int(given))
    except ValueError:
        raise UnreadableMessage(f"[{year}{month}{given}] is not a date", line=found.line) from None


def _amount(text: str, currency: str, found: _Field) -> int:
    try:
        return currencies.from_decimal_text(text.replace(",", "."), currency)
    except ValueError as wrong:
        raise UnreadableMessage(str(wrong), line=found.line) from wrong


def _reference(text: str | None) -> str | None:
    stripped = " ".join((text or "").split())
    return None if stripped.upper() in _NOTHING else stripped


# ------------------------------------------------------------------------------------------------------ what it tells


def _details(told: list[str]) -> dict[str, Any]:
    """Return what the `:86:` of a line tell, by whichever structure they have; free text is its own purpose.

    The lines of one field are one text, cut anywhere; two fields are two texts.
    """
    joined = " ".join("".join(text.split("\n")) for text in told)
    if re.match(r"\s*\d{3}\?\d{2}", joined):
        collection = package.models.Transactions(options=package.Options.all())
        given = {"transaction_details": "\n".join(told).strip()}
        return dict(package.processors.transaction_details_post_processor(collection, _DETAILS, given, dict(given)))
    coded = _coded(joined)
    if coded:
        return coded
    return {"purpose": "\n".join(line.strip() for text in told for line in text.split("\n") if line.strip())}


def _coded(joined: str) -> dict[str, Any]:
    """Read "/EREF/P-1//REMI/text" and the like; names are passed over."""
    found = list(_CODED.finditer(joined))
    if not found:
        return {}
    ends = [match.start() for match in found[1:]] + [len(joined)]
    words = {match[1]: joined[match.end() : end].strip("/ ") for match, end in zip(found, ends, strict=True)}
    return {
        "end_to_end_reference": words.get("EREF"),
        "customer_reference": words.get("KREF"),
        "payment_reference": words.get("PREF"),
        "return_reason": words.get("RTRN"),
        "applicant_iban": words.get("IBAN") or (words.get("CNTP") or "").split("/")[0],
        "purpose": words.get("REMI", "").removeprefix("USTD//").removeprefix("STRD/CUR/"),
    }


def _remittance(details: dict[str, Any], supplementary: str | None) -> str:
    told = [
        details.get("purpose"),
        details.get("additional_purpose"),
        details.get("transaction_details"),
        supplementary,
    ]
    return "\n".join(dict.fromkeys(text.strip() for text in told if text and text.strip()))
