"""What the bank says, written out: reports, returns, notifications, and statements in three formats.

Every line carries the bank's own number, which tells it from every other line; whatever it is called in its format, it
comes back as `bank_reference`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

from settlement_lab.servers.bank import CURRENCY

CHARGE, INTEREST = "charge", "interest"

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
}
"""What the columns of the CSV mean, as the connection's extra declares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the account, and the truth about it, which no format has a place for.

    `truth` is what it really is: "payout:" or "payout_return:" with an end-to-end id, "receipt:" with a reference, or
    "account:" with the account of the books that takes it. `own` marks what the bank books for itself.
    """

    number: str
    truth: str
    amount: int
    end_to_end_id: str = ""
    reference: str = ""
    text: str = ""
    reason: str = ""
    own: str = ""
    is_reversal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A day of an account, or a part of one, from `opening` on."""

    name: str
    sequence: int
    account: str
    on: date
    opening: int
    lines: Sequence[Line]

    @property
    def closing(self) -> int:
        """Return where it closes."""
        return self.opening + sum(line.amount for line in self.lines)


# ---------------------------------------------------------------------------------------------------------- statements


def camt053(said: Statement) -> bytes:
    """Return a statement as camt.053.001.08."""

    def balance(code: str, amount: int) -> str:
        return f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(amount)}<Dt><Dt>{said.on}</Dt></Dt></Bal>"

    return _document(
        "camt.053.001.08",
        f"<BkToCstmrStmt><GrpHdr><MsgId>M-{said.name}</MsgId><CreDtTm>{said.on}T23:59:59</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{said.name}</Id><ElctrncSeqNb>{said.sequence}</ElctrncSeqNb>{_account(said.account)}"
        f"{balance('OPBD', said.opening)}{balance('CLBD', said.closing)}"
        f"{''.join(_entry(said.on, line) for line in said.lines)}</Stmt></BkToCstmrStmt>",
    )


def mt940(said: Statement) -> bytes:
    """Return a statement as MT940, with the code words of Dutch banks in its field 86."""
    day = f"{said.on:%y%m%d}"

    def balance(tag: str, amount: int) -> str:
        return f":{tag}:{'C' if amount >= 0 else 'D'}{day}{CURRENCY}{abs(amount)},"

    rows = [f":20:{said.name}", f":25:{said.account}", f":28C:{said.sequence}/1", balance("60F", said.opening)]
    for line in said.lines:
        kind = {CHARGE: "CHG", INTEREST: "INT"}.get(line.own) or ("RTI" if line.reason else "TRF")
        mark = "RD" if line.is_reversal else "C" if line.amount > 0 else "D"
        reference = line.reference or "NONREF"
        rows.append(f":61:{day}{day[2:]}{mark}{abs(line.amount)},N{kind}{reference}//{line.number}")
        words = {"EREF": line.end_to_end_id, "RTRN": line.reason, "REMI": line.text and f"USTD//{line.text}"}
        told = "".join(f"/{word}/{value}/" for word, value in words.items() if value)
        parts = [told[place : place + 65] for place in range(0, len(told), 65)]
        rows += [f":86:{parts[0]}", *parts[1:]] if parts else []
    return "\r\n".join([*rows, balance("62F", said.closing), "-"]).encode()


def csv_export(said: Statement) -> bytes:
    """Return a statement as the CSV of a bank's own pages: the account above the header, a balance behind each row."""
    out, balance = io.StringIO(), said.opening
    write = csv.writer(out).writerow
    write(["account", said.account])
    write(["booked on", "amount", "balance", "text", "end-to-end", "reference", "number"])
    for line in said.lines:
        balance += line.amount
        write([said.on, line.amount, balance, line.text, line.end_to_end_id, line.reference, line.number])
    return out.getvalue().encode()


FORMATS: Mapping[str, tuple[str, Callable[[Statement], bytes]]] = {
    "camt.053": ("xml", camt053),
    "MT940": ("sta", mt940),
    "CSV": ("csv", csv_export),
}
"""The formats of a statement, each with the ending of its files."""


# ---------------------------------------------------------------------------------------------- between the statements


def camt054(name: str, account: str, on: date, lines: Sequence[Line]) -> bytes:
    """Return what the bank books during the day, as camt.054.001.08."""
    return _document(
        "camt.054.001.08",
        f"<BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>M-{name}</MsgId><CreDtTm>{on}T12:00:00</CreDtTm></GrpHdr>"
        f"<Ntfctn><Id>{name}</Id>{_account(account)}{''.join(_entry(on, line) for line in lines)}"
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


def _entry(on: date, line: Line) -> str:
    families = {CHARGE: ("MDOP", "CHRG"), INTEREST: ("MCOP", "INTR")}
    code = ""
    if line.own:
        family, sub_family = families[line.own]
        code = (
            f"<BkTxCd><Domn><Cd>ACMT</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub_family}</SubFmlyCd></Fmly></Domn>"
            "</BkTxCd>"
        )
    e2e = f"<EndToEndId>{escape(line.end_to_end_id)}</EndToEndId>" if line.end_to_end_id else ""
    told = f"<Ustrd>{escape(line.text)}</Ustrd>" if line.text else ""
    if line.reference:
        told += f"<Strd><CdtrRefInf><Ref>{escape(line.reference)}</Ref></CdtrRefInf></Strd>"
    why = f"<RtrInf><Rsn><Cd>{line.reason}</Cd></Rsn></RtrInf>" if line.reason else ""
    return (
        f"<Ntry>{_amount(line.amount)}{'<RvslInd>true</RvslInd>' if line.is_reversal else ''}"
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt><AcctSvcrRef>{line.number}</AcctSvcrRef>{code}"
        f"<NtryDtls><TxDtls><Refs>{e2e}</Refs>{f'<RmtInf>{told}</RmtInf>' if told else ''}{why}</TxDtls></NtryDtls>"
        "</Ntry>"
    )
