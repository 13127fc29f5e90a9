"""Reading statements as MT940, in the dialects that banks write.

1. The text is decoded (UTF-8, else CP949, else Latin-1: only names and remittance have such characters), the SWIFT
   envelope and bank headers are dropped, and fields are cut where a known tag begins a line.
2. Every `:20:` begins a statement. Its lines (`:61:`) are taken apart by the patterns of the `mt-940` package, which
   knows how banks bend them (blank entry dates, funds codes, references that are too long), and so is the structured
   `:86:` of German and Polish banks. What decides about money is read here: as a whole that package merges a line
   without a type into the line before it, and finds nothing wrong with a statement without balances.
3. Opening (`60F`, or `60M` of a page) + lines = closing (`62F`, `62M`), and `:90D:`/`:90C:` hold where stated.

A direction `RC` takes back a credit and is a debit; `RD` the other way round. A line's booking date is its entry date,
else its value date. A value date of 30 February, which banks that count 30 days to every month do write, is the last
day of February.

Known limits: an interim report (MT942) has no balances and is refused; `EC` and `ED` (expected, not booked) are too.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import mt940 as package

from settlement.adapters.bank.formats.document import LARGEST_MESSAGE
from settlement.domain import currencies
from settlement.domain.bank.statement import Movement, Statement, each_once, prove
from settlement.domain.errors import UnreadableMessage

_TAG = re.compile(r":(\d{2}[A-Z]?|NS):")
_KNOWN_TAGS = "13 13D 20 21 25 25P 28 28C 34F 60F 60M 61 62F 62M 64 65 86 90C 90D NS"
_KNOWN = frozenset(_KNOWN_TAGS.split(" "))
_BALANCE = re.compile(r"([CD])(\d{6})([A-Z]{3})([\d,]{1,20})", re.ASCII)
_TOTAL = re.compile(r"(\d{1,5})([A-Z]{3})([\d,]{1,20})", re.ASCII)
_NUMBER = re.compile(r"(\d{1,12})(?:/(\d{1,5}))?", re.ASCII)
_CODED = re.compile(
    r"/(EREF|KREF|MREF|REMI|RTRN|IBAN|CNTP|NAME|BENM|ORDP|TRTP|CSID|MARF|BIC|ISDT|PURP|ULTD|ULTB|ADDR|SVCL)/"
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
    return re.search(rb"(?:^|[\r\n}])\s*:20:", content[:4096]) is not None


def read(content: bytes) -> tuple[Statement, ...]:
    """Return the statements of an MT940 file, at least one. Raises UnreadableMessage."""
    if len(content) > LARGEST_MESSAGE:
        raise UnreadableMessage(f"{len(content)} bytes are more than the {LARGEST_MESSAGE} that are read")
    raw = list(_raw_statements(_decode(content)))
    if not raw:
        raise UnreadableMessage("it holds no field :20:, with which an MT940 begins")
    return each_once([_statement(found) for found in raw])


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

    def one(self, *tags: str) -> _Field:
        """Return the only field of these tags. Raises UnreadableMessage for none or several."""
        found = [candidate for candidate in self.fields if candidate.tag in tags]
        if len(found) != 1:
            names = " or ".join(f":{tag}:" for tag in tags)
            raise UnreadableMessage(f"the statement has {len(found)} fields {names}, not one", line=self.fields[0].line)
        return found[0]

    def perhaps(self, *tags: str) -> _Field | None:
        return next((candidate for candidate in self.fields if candidate.tag in tags), None)


def _raw_statements(text: str) -> Iterator[_Raw]:
    """Cut the text into statements and these into fields. A line without a known tag continues the field above it."""
    current: _Raw | None = None
    is_open = False
    for number, given in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        line = re.sub(r"^\{.*\{4:", "", given).rstrip(" \t\x03")
        if line in ("-", "") or line.startswith(("-}", "{")):
            is_open = is_open and line == ""
            continue
        begun = _TAG.match(line)
        if begun and begun[1] in _KNOWN:
            if begun[1] == "20":
                if current is not None:
                    yield current
                current = _Raw()
            if current is None:
                raise UnreadableMessage(f"field :{begun[1]}: stands before the first :20:", line=number)
            current.fields.append(_Field(tag=begun[1], text=line[begun.end() :], line=number))
            is_open = True
        elif is_open and current is not None:
            current.fields[-1].text += "\n" + line
        elif begun:
            raise UnreadableMessage(f"field :{begun[1]}: is none of an MT940", line=number)
    if current is not None:
        yield current


# --------------------------------------------------------------------------------------------------------- statements


def _statement(raw: _Raw) -> Statement:
    opening, closing = _balance(raw.one("60F", "60M")), _balance(raw.one("62F", "62M"))
    if opening.currency != closing.currency:
        raise UnreadableMessage(
            f"the balances are in [{opening.currency}] and [{closing.currency}]", line=raw.fields[0].line
        )
    number = raw.one("28", "28C")
    counted = _NUMBER.match(number.text.strip())
    if counted is None:
        raise UnreadableMessage(f"[{number.text}] is not the number of a statement", line=number.line)
    account = _account(raw.one("25", "25P"), closing.currency)
    movements = list(_movements(raw, closing))
    _prove_totals(raw, movements, closing.currency)
    return prove(
        statement_id=f"{raw.one('20').text.strip()}:{number.text.strip()}:{closing.on.isoformat()}",
        sequence=int(counted[1]) or None,
        account=account,
        currency=closing.currency,
        business_date=closing.on,
        from_date=opening.on,
        to_date=closing.on,
        opening=opening.amount,
        closing=closing.amount,
        movements=[movement for movement in movements if movement.amount],
        line=raw.fields[0].line,
    )


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
    """Return the account without spaces, and without its currency, which some banks write behind it."""
    account = "".join(found.text.split("\n")[0].split()).removesuffix(currency)
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
        if (int(shape[1]), stated) != (len(amounts), sum(amounts)):
            raise UnreadableMessage(
                f":{tag}: says [{int(shape[1])}] entries of [{stated}], there are [{len(amounts)}] of [{sum(amounts)}]",
                line=total.line,
            )


# ------------------------------------------------------------------------------------------------------------- lines


def _movements(raw: _Raw, closing: _Balance) -> Iterator[Movement]:
    for place, found in enumerate(raw.fields):
        if found.tag == "61":
            following = raw.fields[place + 1 : place + 2]
            told = following[0].text if following and following[0].tag == "86" else ""
            yield _movement(found, told, closing)


def _movement(found: _Field, told: str, closing: _Balance) -> Movement:
    shape = _line(found)
    mark = shape["status"].upper()
    amount = _amount(shape["amount"], closing.currency, found)
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
        shape = pattern.re.match(found.text.strip())
        if shape:
            return dict(shape.groupdict())
    raise UnreadableMessage(f"[{found.text.splitlines()[0][:60]}] is not a statement line", line=found.line)


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


def _details(told: str) -> dict[str, Any]:
    """Return what `:86:` tells, by whichever structure it has; free text is its own purpose."""
    joined = "".join(line.strip("\r\n") for line in told.split("\n"))
    if re.match(r"\s*\d{3}\?\d{2}", joined):
        collection = package.models.Transactions(options=package.Options.all())
        given = {"transaction_details": told.strip()}
        return dict(package.processors.transaction_details_post_processor(collection, _DETAILS, given, dict(given)))
    coded = _coded(joined)
    if coded:
        return coded
    return {"purpose": "\n".join(line.strip() for line in told.split("\n") if line.strip())}


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
