"""What the bank says, written out: reports, returns, notifications, and statements in three formats.

Every line carries the bank's own number, which tells it from every other line; whatever it is called in its format, it
comes back as `bank_reference`. How a bank departs from the plain form is said by the statement (its page, its interim
balances), by an argument of the format, or by what is done to the finished bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from xml.sax.saxutils import escape

from settlement_lab.servers.bank import CURRENCY

CHARGE, INTEREST = "charge", "interest"

LONGEST_IN_61 = 16
"""Characters of a reference in field 61 of an MT940: a longer one stands in field 86."""

COLUMNS = {
    "currency": CURRENCY,
    "booked_on": "booked on",
    "balance": "balance",
    "amount": "amount",
    "account_label": "account",
    "remittance": ["text"],
    "end_to_end_id": "end-to-end",
    "reference": "reference",
    "bank_reference": "number",
    "bank_code": "code",
    "file_id": "file",
}
"""What the columns of the CSV mean, as the connection's extra declares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the account, and the truth about it, which no format has a place for.

    `truth` is what it really is: "payout:" or "payout_return:" with an end-to-end id, "receipt:" with a reference, or
    "account:" with the account of the books that takes it; of a sum of several there are several, with spaces between.
    `own` marks what the bank books for itself, `code` is what it calls its kind of booking, `file_id` the payment file
    that it says it is of. `charged_to` is the number of the line whose charge it is: a camt tells both in one entry.
    """

    number: str
    truth: str
    amount: int
    end_to_end_id: str = ""
    reference: str = ""
    text: str = ""
    reason: str = ""
    own: str = ""
    code: str = ""
    file_id: str = ""
    charged_to: str = ""
    is_reversal: bool = False

    @property
    def truths(self) -> Sequence[str]:
        """Return each thing that it is."""
        return self.truth.split(" ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A day of an account, or a part of one, from `opening` on.

    `page` is 0 where it is in one piece. `begins` and `ends` say whether its balances are those of the day, or interim.
    """

    name: str
    sequence: int
    account: str
    on: date
    opening: int
    lines: Sequence[Line]
    page: int = 0
    begins: bool = True
    ends: bool = True

    @property
    def closing(self) -> int:
        """Return where it closes."""
        return self.opening + sum(line.amount for line in self.lines)


# ---------------------------------------------------------------------------------------------------------- statements


def camt053(
    *told: Statement,
    opens: str = "OPBD",
    closes: str = "CLBD",
    is_in_utc: bool = False,
    has_directions: bool = True,
    kind: str = "camt.053.001.08",
) -> bytes:
    """Return statements as one camt.053; `opens` and `closes` are the codes of their balances.

    `is_in_utc`: days are instants of midnight in Seoul. Without directions a balance is an amount alone.
    """

    def balance(on: date, code: str, amount: int) -> str:
        stated = _amount(amount) if has_directions or amount < 0 else f'<Amt Ccy="{CURRENCY}">{amount}</Amt>'
        day = f"<DtTm>{on}T14:59:59Z</DtTm>" if is_in_utc else f"<Dt>{on}</Dt>"
        return f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{stated}<Dt>{day}</Dt></Bal>"

    def statement(said: Statement) -> str:
        page = f"<StmtPgntn><PgNb>{said.page}</PgNb><LastPgInd>{str(said.ends).lower()}</LastPgInd></StmtPgntn>"
        return (
            f"<Stmt><Id>{said.name}</Id>{page if said.page else ''}<ElctrncSeqNb>{said.sequence}</ElctrncSeqNb>"
            f"{_account(said.account)}{balance(said.on, opens if said.begins else 'ITBD', said.opening)}"
            f"{balance(said.on, closes if said.ends else 'ITBD', said.closing)}"
            f"{''.join(_entries(said.on, said.lines))}</Stmt>"
        )

    first = told[0]
    return _document(
        kind,
        f"<BkToCstmrStmt><GrpHdr><MsgId>M-{first.name}</MsgId><CreDtTm>{first.on}T23:59:59</CreDtTm></GrpHdr>"
        f"{''.join(statement(said) for said in told)}</BkToCstmrStmt>",
    )


def camt052(said: Statement) -> bytes:
    """Return a report of the day as it is so far, as camt.052: no statement."""
    told = camt053(said, opens="ITBD", closes="ITBD", kind="camt.052.001.08")
    return told.replace(b"BkToCstmrStmt", b"BkToCstmrAcctRpt").replace(b"Stmt>", b"Rpt>")


def mt940(*told: Statement, is_named: bool = True, has_several_86: bool = False) -> bytes:
    """Return statements as one MT940, with the code words of Dutch banks in its field 86, or in several of them."""

    def statement(said: Statement) -> list[str]:
        day = f"{said.on:%y%m%d}"

        def balance(tag: str, amount: int) -> str:
            return f":{tag}:{'C' if amount >= 0 else 'D'}{day}{CURRENCY}{abs(amount)},"

        rows = [f":20:{said.name}"] if is_named else []
        opens, closes = "60F" if said.begins else "60M", "62F" if said.ends else "62M"
        number = f":28C:{said.sequence}/{said.page or 1}"
        rows += [f":25:{said.account}", number, balance(opens, said.opening)]
        for line in said.lines:
            kind = {CHARGE: "CHG", INTEREST: "INT"}.get(line.own) or ("RTI" if line.reason else "TRF")
            mark = "RD" if line.is_reversal else "C" if line.amount > 0 else "D"
            reference = (line.reference if len(line.reference) <= LONGEST_IN_61 else "KREF") or "NONREF"
            rows.append(f":61:{day}{day[2:]}{mark}{abs(line.amount)},N{kind}{reference}//{line.number}")
            rows += _field_86(line, is_cut=has_several_86)
        return [*rows, balance(closes, said.closing), "-"]

    return "\r\n".join(row for said in told for row in statement(said)).encode()


def _field_86(line: Line, *, is_cut: bool) -> list[str]:
    words = {
        "EREF": line.end_to_end_id,
        "KREF": line.reference if len(line.reference) > LONGEST_IN_61 else "",
        "PREF": line.file_id,
        "RTRN": line.reason,
        "REMI": line.text and f"USTD//{line.text}",
    }
    told = [f"/{word}/{value}/" for word, value in words.items() if value]
    if is_cut:
        return [f":86:{part}" for part in told]
    rows = [row[place : place + 65] for row in "".join(told).split("\n") for place in range(0, len(row), 65)]
    return [f":86:{rows[0]}", *rows[1:]] if rows else []


def csv_export(said: Statement, *, is_newest_first: bool = False) -> bytes:
    """Return a statement as the CSV of a bank's own pages: the account above the header, a balance behind each row."""
    out, balance = io.StringIO(), said.opening
    write = csv.writer(out).writerow
    write(["account", said.account])
    write(["booked on", "amount", "balance", "text", "end-to-end", "reference", "number", "code", "file"])
    rows = []
    for line in said.lines:
        balance += line.amount
        references = (line.end_to_end_id, line.reference, line.number, line.code, line.file_id)
        rows.append([said.on, line.amount, balance, line.text, *references])
    for row in reversed(rows) if is_newest_first else rows:
        write(row)
    return out.getvalue().encode()


FORMATS: Mapping[str, tuple[str, Callable[[Statement], bytes]]] = {
    "camt.053": ("xml", camt053),
    "MT940": ("sta", mt940),
    "CSV": ("csv", csv_export),
}
"""The formats of a statement, each with the ending of its files."""


DRESSES: Mapping[str, Mapping[str, Callable[[bytes], bytes]]] = {
    "camt.053": {
        "a mark before it": lambda told: b"\xef\xbb\xbf" + told,
        "a new line before it": lambda told: b"\n" + told,
        "UTF-16": lambda told: _declared(told, "UTF-16", "utf-16"),
        **{
            name: partial(lambda name, told: _declared(told, name, "cp949"), name)
            for name in ("EUC-KR", "KSC5601", "MS949", "UHC")
        },
    },
    "MT940": {
        "CP949": lambda told: told.decode().encode("cp949"),
        "a mark before it": lambda told: b"\xef\xbb\xbf" + told,
        "an end mark": lambda told: told + b" \r\n\x1a",
    },
    "CSV": {
        "CP949": lambda told: told.decode().encode("cp949"),
        "a mark before it": lambda told: b"\xef\xbb\xbf" + told,
    },
}
"""By format: what banks do to the bytes of a statement, which is the same statement."""


def _declared(told: bytes, name: str, codec: str) -> bytes:
    return f'<?xml version="1.0" encoding="{name}"?>{told.decode()}'.encode(codec)


ABSURD: Mapping[str, Callable[[bytes], bytes]] = {
    "camt.053": lambda told: told.replace(
        b"</Acct>", b"</Acct><TxsSummry><TtlNtries><NbOfNtries>99999999999</NbOfNtries></TtlNtries></TxsSummry>", 1
    ),
    "MT940": lambda told: told.replace(b"\r\n:62", b"\r\n:90D:99999KRW999999999,\r\n:62", 1),
    "CSV": lambda told: told + b"2026-01-05,9999999999999999999999,1,,,,,,\r\n",
}
"""By format: a number in it that no bank can mean."""


# ---------------------------------------------------------------------------------------------- between the statements


def camt054(name: str, account: str, on: date, lines: Sequence[Line]) -> bytes:
    """Return what the bank books during the day, as camt.054.001.08."""
    return _document(
        "camt.054.001.08",
        f"<BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>M-{name}</MsgId><CreDtTm>{on}T12:00:00</CreDtTm></GrpHdr>"
        f"<Ntfctn><Id>{name}</Id>{_account(account)}{''.join(_entries(on, lines))}"
        "</Ntfctn></BkToCstmrDbtCdtNtfctn>",
    )


def pain002(
    name: str, on: date, file_id: str, *, group: str = "", reason: str = "", payments: Mapping[str, tuple[str, str]]
) -> bytes:
    """Return a status report on a file: of the whole, and of `payments` by end-to-end id as (status, reason)."""
    each = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{e2e}</OrgnlEndToEndId><TxSts>{status}</TxSts>{_because(why)}</TxInfAndSts>"
        for e2e, (status, why) in payments.items()
    )
    return _document(
        "pain.002.001.10",
        f"<CstmrPmtStsRpt><GrpHdr><MsgId>{name}</MsgId><CreDtTm>{on}T07:00:00</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{file_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
        + (f"<GrpSts>{group}</GrpSts>" if group else "")
        + f"{_because(reason)}</OrgnlGrpInfAndSts>"
        + (f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{file_id}</OrgnlPmtInfId>{each}</OrgnlPmtInfAndSts>" if each else "")
        + "</CstmrPmtStsRpt>",
    )


def pacs004(name: str, on: date, end_to_end_id: str, amount: int, reason: str) -> bytes:
    """Return the announcement that one payment comes back."""
    return _document(
        "pacs.004.001.09",
        f"<PmtRtr><GrpHdr><MsgId>M-{name}</MsgId><CreDtTm>{on}T09:00:00</CreDtTm><NbOfTxs>1</NbOfTxs></GrpHdr>"
        f"<TxInf><RtrId>{name}</RtrId><OrgnlEndToEndId>{end_to_end_id}</OrgnlEndToEndId>"
        f'<RtrdIntrBkSttlmAmt Ccy="{CURRENCY}">{amount}</RtrdIntrBkSttlmAmt>'
        f"<RtrRsnInf><Rsn><Cd>{reason}</Cd></Rsn></RtrRsnInf></TxInf></PmtRtr>",
    )


def _document(kind: str, body: str) -> bytes:
    return f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{kind}">{body}</Document>'.encode()


def _account(account: str) -> str:
    return f"<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>{CURRENCY}</Ccy></Acct>"


def _amount(amount: int) -> str:
    return f'<Amt Ccy="{CURRENCY}">{abs(amount)}</Amt><CdtDbtInd>{"CRDT" if amount >= 0 else "DBIT"}</CdtDbtInd>'


def _because(reason: str) -> str:
    return f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""


def _entries(on: date, lines: Sequence[Line]) -> Iterator[str]:
    """Yield the entries of lines: a charge and what it was taken for are one."""
    numbers = {line.number for line in lines}
    charges = {line.charged_to: line for line in lines if line.charged_to in numbers}
    for line in lines:
        if line not in charges.values():
            yield _entry(on, line, charges.get(line.number))


def _entry(on: date, line: Line, charge: Line | None = None) -> str:
    """Return the entry of a line; with a charge it is of both, and its own number is the charge's."""
    families = {CHARGE: ("MDOP", "CHRG"), INTEREST: ("MCOP", "INTR")}
    code = f"<BkTxCd><Prtry><Cd>{line.code}</Cd></Prtry></BkTxCd>" if line.code else ""
    if line.own:
        family, sub_family = families[line.own]
        code = (
            f"<BkTxCd><Domn><Cd>ACMT</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub_family}</SubFmlyCd></Fmly></Domn>"
            "</BkTxCd>"
        )
    refs = "".join(
        f"<{name}>{escape(value)}</{name}>"
        for name, value in (
            ("AcctSvcrRef", line.number if charge else ""),
            ("PmtInfId", line.file_id),
            ("EndToEndId", line.end_to_end_id),
        )
        if value
    )
    amount, number, told_charge = line.amount, line.number, ""
    if charge:
        amount, number = line.amount + charge.amount, charge.number
        told_charge = f"{_amount(line.amount)}<Chrgs><Rcrd>{_amount(charge.amount)}</Rcrd></Chrgs>"
    told = f"<Ustrd>{escape(line.text)}</Ustrd>" if line.text else ""
    if line.reference:
        told += f"<Strd><CdtrRefInf><Ref>{escape(line.reference)}</Ref></CdtrRefInf></Strd>"
    why = f"<RtrInf><Rsn><Cd>{line.reason}</Cd></Rsn></RtrInf>" if line.reason else ""
    return (
        f"<Ntry>{_amount(amount)}{'<RvslInd>true</RvslInd>' if line.is_reversal else ''}"
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt><AcctSvcrRef>{number}</AcctSvcrRef>{code}"
        f"<NtryDtls><TxDtls><Refs>{refs}</Refs>{told_charge}{f'<RmtInf>{told}</RmtInf>' if told else ''}{why}</TxDtls>"
        "</NtryDtls></Ntry>"
    )
