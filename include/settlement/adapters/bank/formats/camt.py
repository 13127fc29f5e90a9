"""Reading statements (camt.053), notifications (camt.054) and reports of a day that goes on (camt.052), as banks write
their versions .01 to .14.

One `Statement` per `Stmt` (or per page of one), one `Notification` per `Ntfctn` and per `Rpt`: whatever balances a
report has, it is none of a day. An entry becomes

- one line, when it stands for one transaction or does not tell its parts (a batch in one sum);
- one line per `TxDtls`, when each states its amount and they sum to the entry;
- these and one more per charge, when the entry is what was left after the bank took its charges, told at the entry, at
  its transactions or at both, by record or as a total;
- one line of its own amount, when its parts and charges do not sum to it (a charge that is not told, or told in another
  currency): the balances prove the entry, and nothing proves its parts.

Only booked entries are lines: what is pending or for information moves no balance. The direction of a line is its own
`CdtDbtInd`, or its entry's; a reversal (`RvslInd`) is marked and its direction is already the right one (ISO 20022: the
indicator of a reversal tells the direction of the reversing entry).

**Proofs before use.** Opening + lines = closing, from `OPBD` (or `PRCD`, or `ITBD` of a message that goes on) and
`CLBD`, or `ITBD` of a message that does not end the day; a balance of the sub-type `INTM` is one between pages. Where
the bank states nothing else, `OPAV` and `CLAV` serve if they add up, and balances without a direction are credits if
they do; both are noted. `NbOfTxs` and `TtlAmt` of a batch of which the parts are told, and `TxsSummry`, hold where
stated. One currency per statement. A message that fails one of them is refused whole, with the line and both values.

Known limits: a statement whose account has several currencies is refused; the numbers in `TxsSummry` of a statement in
pages are not compared, because banks state there those of the page or of the whole as they like.
"""

from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import Decimal

from settlement.adapters.bank.formats import document
from settlement.adapters.bank.formats.document import Document, Element, required, text, texts
from settlement.domain import currencies
from settlement.domain.bank.statement import (
    LONGEST_TEXT,
    Movement,
    Notification,
    Statement,
    bounded,
    each_once,
    lines_of,
    prove,
)
from settlement.domain.errors import UnreadableMessage

_RETURN_FAMILIES = frozenset({"RRTN", "UPDD", "RPCR"})
"""Sub-families of ISO 20022 bank transaction codes that book something back."""

_CHARGE_FAMILIES = frozenset({"CHRG", "FEES", "COMM", "COME", "COMI", "COMT"})
"""Sub-families under which a bank books what it takes for itself."""

_AVAILABLE = {"OPAV": "OPBD", "CLAV": "CLBD"}
"""Available balances, and the booked ones for which they serve where a statement has no booked ones."""

_INTERIM = "INTM"
"""The sub-type of a balance between two pages: `OPBD` of a page behind the first, `CLBD` of one before the last."""

_NOT_PROVIDED = frozenset({"NOTPROVIDED", "NOT PROVIDED", "NONREF"})


def read(message: Document) -> tuple[Statement, ...] | tuple[Notification, ...]:
    """Return what a parsed camt.052, camt.053 or camt.054 says, one at least. Raises UnreadableMessage."""
    if message.kind == "camt.053":
        return _statements(message)
    return _notifications(message)


# ------------------------------------------------------------------------------------------------------ statements


def _statements(message: Document) -> tuple[Statement, ...]:
    found = [_statement(element, message) for element in message.body.iterfind("Stmt")]
    if not found:
        raise UnreadableMessage("the message holds no statement", line=document.line(message.body))
    return each_once(found)


def _statement(element: Element, message: Document) -> Statement:
    zone = message.zone
    page, is_last_page = _page(element, message.body)
    balances = _balances(element, zone, is_last_page=is_last_page)
    opening, closing, currency = balances.opening, balances.closing, balances.opening.currency
    stated_currency = text(element, "Acct/Ccy")
    if {currency, closing.currency, stated_currency or currency} != {currency}:
        raise UnreadableMessage(
            f"the balances of account currency [{stated_currency}] are in [{currency}] and [{closing.currency}]",
            line=document.line(element),
        )
    entries = [_entry(found, currency, zone, otherwise_booked_on=closing.on) for found in element.iterfind("Ntry")]
    if page is None:
        _prove_summary(element, entries, currency)

    booked = [entry for entry in entries if entry.is_booked]
    legal_sequence = document.number(element, "LglSeqNb")
    sequence = document.number(element, "ElctrncSeqNb")
    return prove(
        statement_id=required(element, "Id") + (f"/{page}" if page else ""),
        sequence=legal_sequence if sequence is None else sequence,
        account=_account(element),
        currency=currency,
        business_date=closing.on,
        from_date=document.day(element, "FrToDt/FrDtTm", zone=zone),
        to_date=document.day(element, "FrToDt/ToDtTm", zone=zone),
        opening=opening.amount,
        closing=closing.amount,
        movements=[movement for entry in booked for movement in entry.movements],
        not_booked=len(entries) - len(booked),
        page=page,
        is_last=is_last_page and not balances.is_interim,
        legal_sequence=legal_sequence,
        duplicate=text(element, "CpyDplctInd"),
        notes=balances.notes,
        line=document.line(element),
    )


def _page(element: Element, body: Element) -> tuple[int | None, bool]:
    """Return the page's number, None for a statement in one piece, and whether it is the last one."""
    for pagination in (element.find("StmtPgntn"), body.find("GrpHdr/MsgPgntn")):
        if pagination is not None:
            number, is_last = document.count(pagination, "PgNb"), document.flag(pagination, "LastPgInd")
            return (None if number == 1 and is_last else number), is_last
    return None, True


def _account(element: Element) -> str:
    identified = required(element, "Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id", "Acct/Id/BBAN")
    return "".join(identified.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Balance:
    amount: int
    currency: str
    on: date
    has_direction: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Balances:
    opening: _Balance
    closing: _Balance
    is_interim: bool
    notes: tuple[str, ...]


def _balances(element: Element, zone: tzinfo | None, *, is_last_page: bool) -> _Balances:
    """Return what the statement opens and closes with; whether these explain its entries is for `prove` to say."""
    by_code: dict[str, list[_Balance]] = {}
    for found in element.iterfind("Bal"):
        code = text(found, "Tp/CdOrPrtry/Cd", "Tp/Cd")
        if code in ("OPBD", "PRCD", "CLBD", "ITBD", *_AVAILABLE):
            if _INTERIM in (text(found, "Tp/SubTp/Cd"), text(found, "Tp/SubTp/Prtry")):
                code = f"{code} {_INTERIM}"
            by_code.setdefault(code, []).append(_balance(found, zone))
    is_available = not by_code.keys() - _AVAILABLE.keys()
    if is_available:
        by_code = {_AVAILABLE[code]: balances for code, balances in by_code.items()}
    for code in ("OPBD", "PRCD", "CLBD"):
        if len(set(by_code.get(code, ()))) > 1:
            raise UnreadableMessage(f"the statement has more than one balance [{code}]", line=document.line(element))

    interim = by_code.get("ITBD", [])
    begins = by_code.get("OPBD") or by_code.get("PRCD") or by_code.get(f"OPBD {_INTERIM}")
    ends, between = by_code.get("CLBD"), by_code.get(f"CLBD {_INTERIM}")
    opening = begins or interim[:1]
    # An interim balance closes what it does not open already: a page, or a message of a day that goes on.
    closing = ends or between or (interim[-1:] if begins or len(interim) > 1 or not is_last_page else [])
    if not opening or not closing:
        missing = "an opening balance (OPBD or PRCD)" if not opening else "a closing balance (CLBD or ITBD)"
        raise UnreadableMessage(f"the statement has not {missing}", line=document.line(element))
    notes = []
    if is_available:
        notes.append("it states available balances only (OPAV, CLAV); they explain its entries")
    if not (opening[0].has_direction and closing[0].has_direction):
        notes.append("its balances state no direction; as credits they explain its entries")
    return _Balances(opening=opening[0], closing=closing[0], is_interim=not ends, notes=tuple(notes))


def _balance(element: Element, zone: tzinfo | None) -> _Balance:
    stated, on = element.find("Amt"), document.day(element, "Dt/Dt", "Dt/DtTm", "Dt", zone=zone)
    is_credit = document.is_credit(element)
    if stated is None or on is None:
        raise UnreadableMessage("a balance has an amount and a date", line=document.line(element))
    amount, currency = document.amount(stated)
    return _Balance(
        amount=-amount if is_credit is False else amount,
        currency=currency,
        on=on,
        has_direction=is_credit is not None,
    )


def _prove_summary(element: Element, entries: list["_Entry"], currency: str) -> None:
    """Compare `TxsSummry` with the entries, where it states something: with all of them, or with the booked ones."""
    summary = element.find("TxsSummry")
    if summary is None:
        return
    for path, chosen in (
        ("TtlNtries", entries),
        ("TtlCdtNtries", [entry for entry in entries if entry.amount > 0]),
        ("TtlDbtNtries", [entry for entry in entries if entry.amount < 0]),
    ):
        total = summary.find(path)
        if total is None:
            continue
        booked = [entry for entry in chosen if entry.is_booked]
        stated_count = document.count(total, "NbOfNtries")
        # An entry of nothing is neither a credit nor a debit to us, but may be either to the bank: it is not counted.
        nothing = 0 if path == "TtlNtries" else sum(entry.amount == 0 for entry in entries)
        counts = {len(chosen) + extra for extra in range(nothing + 1)} | {
            len(booked) + extra for extra in range(nothing + 1)
        }
        if stated_count is not None and stated_count not in counts:
            raise UnreadableMessage(
                f"[{path}] counts [{stated_count}] entries, there are [{len(chosen)}]", line=document.line(total)
            )
        stated_sum = document.control_sum(total, "Sum")
        sums = [sum(abs(entry.amount) for entry in some) for some in (chosen, booked)]
        if stated_sum is not None and stated_sum not in [_decimal(amount, currency) for amount in sums]:
            raise UnreadableMessage(
                f"[{path}] sums to [{stated_sum}], the entries to [{_decimal(sums[0], currency)}]",
                line=document.line(total),
            )


def _decimal(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-currencies.exponent(currency))


# --------------------------------------------------------------------------------------------------- notifications


def _notifications(message: Document) -> tuple[Notification, ...]:
    name, word = ("Rpt", "report") if message.kind == "camt.052" else ("Ntfctn", "notification")
    found = tuple(_notification(element, message) for element in message.body.iterfind(name))
    if not found:
        raise UnreadableMessage(f"the message holds no {word}", line=document.line(message.body))
    return found


def _notification(element: Element, message: Document) -> Notification:
    """Return what a notification says; one without entries, or with pending ones only, says nothing and is right."""
    zone = message.zone
    notification_id, account = required(element, "Id"), _account(element)
    elements = element.findall("Ntry")
    first_amount = None if not elements else elements[0].find("Amt")
    currency = text(element, "Acct/Ccy") or (None if first_amount is None else first_amount.get("Ccy"))
    created_on = document.day(element, "CreDtTm", zone=zone) or document.day(message.body, "GrpHdr/CreDtTm", zone=zone)
    entries = [_entry(found, currency or "", zone, otherwise_booked_on=created_on) for found in elements]
    _prove_summary(element, entries, currency or "")
    movements = [movement for entry in entries if entry.is_booked for movement in entry.movements]
    return Notification(
        notification_id=notification_id,
        account=account,
        currency=currency,
        lines=lines_of(movements, statement_id=notification_id, account=account, currency=currency or ""),
        not_booked=sum(not entry.is_booked for entry in entries),
    )


# ---------------------------------------------------------------------------------------------------------- entries


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    amount: int
    is_booked: bool
    movements: tuple[Movement, ...]


def _entry(element: Element, currency: str, zone: tzinfo | None, *, otherwise_booked_on: date | None) -> _Entry:
    stated, is_credit = element.find("Amt"), document.is_credit(element)
    if stated is None or is_credit is None:
        raise UnreadableMessage("an entry has an amount and a direction", line=document.line(element))
    amount, entry_currency = document.amount(stated)
    if entry_currency != currency:
        raise UnreadableMessage(
            f"an entry in [{entry_currency}] stands on an account in [{currency}]", line=document.line(element)
        )
    signed = amount if is_credit else -amount
    value_date = document.day(element, "ValDt/Dt", "ValDt/DtTm", zone=zone)
    booked_on = document.day(element, "BookgDt/Dt", "BookgDt/DtTm", zone=zone) or otherwise_booked_on or value_date
    if booked_on is None:
        raise UnreadableMessage("an entry has no booking date", line=document.line(element))
    is_booked = text(element, "Sts/Cd", "Sts/Prtry", "Sts") in ("BOOK", None)
    told = _Told(entry=element, booked_on=booked_on, value_date=value_date)
    return _Entry(
        amount=signed,
        is_booked=is_booked,
        movements=tuple(found for found in _movements(told, signed, currency) if found.amount),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An entry, and what is true of each of its lines."""

    entry: Element
    booked_on: date
    value_date: date | None


def _movements(told: _Told, entered: int, currency: str) -> list[Movement]:
    """Return the lines that an entry of [entered] makes; they always sum to it."""
    entry = told.entry
    details = entry.findall("NtryDtls/TxDtls")
    for block in entry.iterfind("NtryDtls"):
        _prove_batch(block, currency, is_credit=entered > 0)
    counted = sum(document.count(batch, "NbOfTxs") or 0 for batch in entry.iterfind("NtryDtls/Btch"))
    if not details or (len(details) == 1 and counted > 1):
        return [_movement(told, None, entered, count=max(counted, 1))]

    amounts = [_detail_amount(found, currency, is_credit=entered > 0) for found in details]
    if len(details) == 1 and amounts[0] is None:
        amounts = [entered]
    if any(amount is None for amount in amounts):
        amounts = [_instructed_amount(found, currency, is_credit=entered > 0) for found in details]
        if any(amount is None for amount in amounts) or sum(amount or 0 for amount in amounts) != entered:
            return [_movement(told, None, entered, count=max(len(details), counted))]

    known = [amount for amount in amounts if amount is not None]
    charges = _charges(entry, details, currency, missing=entered - sum(known))
    if charges is None:
        if len(details) == 1:
            return [_movement(told, details[0], entered)]
        return [_movement(told, None, entered, count=max(len(details), counted))]
    movements = [_movement(told, found, amount) for found, amount in zip(details, known, strict=True)]
    return movements + [_movement(told, None, charge, is_charge=True) for charge in charges]


def _prove_batch(block: Element, currency: str, *, is_credit: bool) -> None:
    batch, details = block.find("Btch"), block.findall("TxDtls")
    if batch is None or len(details) < 2:
        return
    stated_count = document.count(batch, "NbOfTxs")
    if stated_count not in (None, len(details)):
        raise UnreadableMessage(
            f"a batch counts [{stated_count}] transactions and holds [{len(details)}]", line=document.line(batch)
        )
    total = batch.find("TtlAmt")
    amounts = [_detail_amount(found, currency, is_credit=is_credit) for found in details]
    if total is not None and total.get("Ccy") == currency and None not in amounts:
        stated, _ = document.amount(total)
        if stated != abs(sum(amount or 0 for amount in amounts)):
            raise UnreadableMessage(
                f"a batch of [{stated}] holds transactions of [{sum(amount or 0 for amount in amounts)}]",
                line=document.line(batch),
            )


def _detail_amount(detail: Element, currency: str, *, is_credit: bool) -> int | None:
    """Return what a transaction moved on the account, where it says so in the account's currency."""
    return _signed(detail, currency, ("Amt", "AmtDtls/TxAmt/Amt"), is_credit=is_credit)


def _instructed_amount(detail: Element, currency: str, *, is_credit: bool) -> int | None:
    """Return what was instructed: some banks write nothing else, and then it counts if it sums to the entry."""
    paths = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
    return _signed(detail, currency, paths, is_credit=is_credit)


def _signed(detail: Element, currency: str, paths: tuple[str, ...], *, is_credit: bool) -> int | None:
    own_direction = document.is_credit(detail)
    for path in paths:
        found = detail.find(path)
        if found is not None and found.get("Ccy", currency) == currency:
            amount, _ = document.amount(found, currency=currency)
            if amount:  # a transaction of nothing states nothing: some banks fill the element in with 0
                return amount if (is_credit if own_direction is None else own_direction) else -amount
    return None


def _charges(entry: Element, details: list[Element], currency: str, *, missing: int) -> list[int] | None:
    """Return the charges that explain what is [missing] between an entry and its parts; None if none do.

    A bank may tell one charge twice, at the entry and at the transaction: each place is tried by itself before both.
    """
    if not missing:
        return []
    at_entry = list(entry.iterfind("Chrgs"))
    at_details = [block for found in details for block in found.iterfind("Chrgs")]
    for blocks in (at_entry, at_details, at_entry + at_details):
        for charges in (_records(blocks, currency), _totals(blocks, currency)):
            if charges and sum(charges) == missing:
                return charges
    return None


def _records(blocks: list[Element], currency: str) -> list[int]:
    """Return what the bank took (negative) or gave back, each record by itself."""
    charges = []
    for block in blocks:
        for found in [*block.iterfind("Rcrd"), block]:
            stated = found.find("Amt")
            if stated is not None and stated.get("Ccy", currency) == currency:
                amount, _ = document.amount(stated, currency=currency)
                charges.append(amount if document.is_credit(found) else -amount)
    return [charge for charge in charges if charge]


def _totals(blocks: list[Element], currency: str) -> list[int]:
    """Return what the bank took, one total per block: it carries no direction, and what is charged is taken."""
    totals = []
    for block in blocks:
        stated = block.find("TtlChrgsAndTaxAmt")
        if stated is not None and stated.get("Ccy", currency) == currency:
            totals.append(-document.amount(stated, currency=currency)[0])
    return [total for total in totals if total]


def _movement(told: _Told, detail: Element | None, amount: int, *, count: int = 1, is_charge: bool = False) -> Movement:
    entry = told.entry
    said = entry if detail is None else detail
    code, family = _bank_code(said)
    if not code:
        code, family = _bank_code(entry)
    reason = document.reason(said, "RtrInf/Rsn") or document.reason(said, "RtrInf/RtrRsn")
    is_charge = is_charge or family in _CHARGE_FAMILIES
    is_return = not is_charge and (said.find("RtrInf") is not None or family in _RETURN_FAMILIES)
    end_to_end_id = text(said, "Refs/EndToEndId")
    references = texts(said, "RmtInf/Strd/CdtrRefInf/Ref") or texts(said, "RmtInf/Strd/CdtrRefInf/CdtrRef")
    remittance = [*texts(said, "RmtInf/Ustrd"), *references[1:], *texts(said, "RmtInf/Strd/AddtlRmtInf")]
    words = text(said, "AddtlTxInf", "AddtlNtryInf", longest=LONGEST_TEXT) or text(
        entry, "AddtlNtryInf", longest=LONGEST_TEXT
    )
    party = "DbtrAcct" if amount > 0 and not is_return else "CdtrAcct"
    found = Movement(
        booking_date=told.booked_on,
        value_date=told.value_date,
        amount=amount,
        end_to_end_id=None if end_to_end_id in _NOT_PROVIDED else end_to_end_id,
        reference=references[0] if references else text(said, "RmtInf/Strd/RfrdDocInf/Nb"),
        bank_reference=text(said, "Refs/AcctSvcrRef") or text(entry, "AcctSvcrRef", "NtryRef"),
        file_id=_file_id(said, entry),
        remittance="\n".join(remittance) or words or "",
        bank_code=code,
        is_return=is_return,
        is_reversal=document.flag(entry, "RvslInd"),
        is_charge=is_charge,
        reason=reason,
        counterparty_account=text(said, f"RltdPties/{party}/Id/IBAN", f"RltdPties/{party}/Id/Othr/Id"),
        transaction_count=count,
    )
    return bounded(found, line=document.line(said))


def _file_id(said: Element, entry: Element) -> str | None:
    """Return the names under which the bank tells our file, one behind the other: its message's and its batch's."""
    names = [text(said, f"Refs/{name}") or text(entry, f"NtryDtls/Btch/{name}") for name in ("MsgId", "PmtInfId")]
    return " ".join(dict.fromkeys(name for name in names if name)) or None


def _bank_code(element: Element) -> tuple[str, str | None]:
    """Return the bank transaction code as "PMNT/ICDT/ESCT", or the bank's own, and the ISO sub-family."""
    domain = [text(element, f"BkTxCd/Domn/{path}") for path in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    if all(domain):
        return "/".join(part or "" for part in domain), domain[2]
    return text(element, "BkTxCd/Prtry/Cd") or "", None
