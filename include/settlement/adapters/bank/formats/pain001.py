"""Writing a payment file as pain.001.001.09, and proving the bytes before they leave.

In comes a `PaymentFile`, out come bytes that depend on it alone: no clock, no random id, no dictionary order. So a file
that is handed over a second time is the same bytes, and the bank's duplicate check answers for us.

1. Names and remittance are cleaned (NFC, no control characters, single spaces) and cut to 140 characters, which is what
   ISO 20022 Max140Text holds. Ids and accounts are never altered: one that does not fit is refused.
2. The document is written with lxml: one batch, because a `PaymentFile` has one currency and one debtor account.
3. The bytes are read again by expat, which shares nothing with the writer, and count, control sum, every id, amount and
   account are compared with what was meant. Anything else than equality is `PaymentFileContradicts`.

Amounts have the currency's own decimals: 95000 KRW is "95000". An account is an IBAN if its check digits say so and a
domestic number otherwise; a bank is a BIC if it looks like one and a clearing member otherwise.
"""

import re
import unicodedata
from datetime import UTC
from decimal import Decimal, InvalidOperation
from xml.parsers import expat

import numpy as np
from lxml import etree

from settlement.domain import currencies, frames
from settlement.domain.bank.messages import ACCOUNT, BANK, PaymentFile
from settlement.domain.errors import PaymentFileContradicts

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
LONGEST_TEXT = 140

_FILE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,34}")
_PAYMENT_ID = re.compile(r"[A-Za-z0-9+?/:().,'_-]{1,35}")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")


def write(file: PaymentFile) -> bytes:
    """Return the bytes of [file], the same for the same file, proven by reading them again.

    Raises PaymentFileContradicts if the file cannot be written as it is or if its bytes say something else.
    """
    _refuse_what_cannot_be_written(file)
    content = _serialise(file)
    prove(content, file)
    return content


def prove(content: bytes, file: PaymentFile) -> None:
    """Compare what stands in [content] with what [file] means, by other code than wrote it.

    Raises PaymentFileContradicts, naming everything that differs.
    """
    payments = file.payments
    meant = [payments[name].tolist() for name in ("end_to_end_id", "amount", "payee_account")]
    meant.append(payments["payee_bank"].fillna("").tolist())
    total = Decimal(file.amount).scaleb(-currencies.exponent(file.currency))
    try:
        read = _ReadAgain(content)
        found = read.transfers
        amounts = map(currencies.from_decimal_text, found["amount"], found["currency"])
        written = [found["end_to_end_id"], list(amounts), found["account"], found["bank"]]
        sums = [[Decimal(text) for text in read.texts[f"{part}/CtrlSum"]] for part in ("GrpHdr", "PmtInf")]
    except (expat.ExpatError, InvalidOperation, ValueError) as unreadable:
        raise PaymentFileContradicts(
            f"Payment file [{file.file_id}] cannot be read back: {unreadable}. Nothing was sent."
        ) from unreadable
    differences = [
        name
        for name, is_as_meant in (
            ("the namespace", read.namespace == NAMESPACE),
            ("the file id", read.texts["GrpHdr/MsgId"] == [file.file_id]),
            ("the debtor's account", read.texts["PmtInf/DbtrAcct/Id"] == [file.debtor_account]),
            ("the execution date", read.texts["PmtInf/ReqdExctnDt/Dt"] == [file.execution_date.isoformat()]),
            ("the file's count", read.texts["GrpHdr/NbOfTxs"] == [str(len(payments))]),
            ("the batch's count", read.texts["PmtInf/NbOfTxs"] == [str(len(payments))]),
            ("the file's sum", sums[0] == [total]),
            ("the batch's sum", sums[1] == [total]),
            ("the currency", set(found["currency"]) == {file.currency}),
            ("the uniqueness of the ids", len(set(found["end_to_end_id"])) == len(found["end_to_end_id"])),
            ("the payments", written == meant),
        )
        if not is_as_meant
    ]
    if differences:
        raise PaymentFileContradicts(
            f"Payment file [{file.file_id}] does not say what was meant: {', '.join(differences)} differ. "
            "Nothing was sent."
        )


def _refuse_what_cannot_be_written(file: PaymentFile) -> None:
    def refuse(why: str) -> PaymentFileContradicts:
        return PaymentFileContradicts(f"Payment file [{file.file_id}] cannot be written: {why}. Nothing was sent.")

    if not _FILE_ID.fullmatch(file.file_id):
        raise refuse("its id must be 1 to 35 letters, digits, '.', '_' or '-'")
    if file.created_at.utcoffset() is None:
        raise refuse("the instant of its creation has no time zone")
    if file.currency not in currencies.EXPONENTS:
        raise refuse(f"currency [{file.currency}] is not an active code of ISO 4217")
    if file.payments.empty:
        raise refuse("it holds no payment")
    if not _clean(file.debtor_name) or not ACCOUNT.fullmatch(file.debtor_account):
        raise refuse("the debtor needs a name and an account of at most 34 characters")
    if file.debtor_agent and not BANK.fullmatch(file.debtor_agent):
        raise refuse(f"the debtor's bank [{file.debtor_agent}] is neither a BIC nor a clearing member")
    payments = file.payments
    ids, amounts, account = payments["end_to_end_id"], payments["amount"], payments["payee_account"]
    bank = payments["payee_bank"].fillna("")
    is_nameless = np.array([not _clean(name) for name in payments["payee_name"]])
    for is_wrong, why in (
        (ids.duplicated(), "payment [{id}] stands in it more than once"),
        (~ids.str.fullmatch(_PAYMENT_ID.pattern), "payment id [{id}] is not 1 to 35 characters that every bank takes"),
        ((amounts <= 0) | (amounts > currencies.LARGEST_AMOUNT), "payment [{id}] has the amount [{amount}]"),
        (is_nameless, "payment [{id}] has no creditor's name"),
        (~account.str.fullmatch(ACCOUNT.pattern), "payment [{id}] has no account of 1 to 34 printable characters"),
        ((bank != "") & ~bank.str.fullmatch(BANK.pattern), "payment [{id}] names the bank [{bank}]"),
    ):
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            raise refuse(why.format(id=ids.iloc[row], amount=amounts.iloc[row], bank=bank.iloc[row]))
    if file.amount > currencies.LARGEST_AMOUNT:
        raise refuse(
            f"its sum [{file.amount}] has more than eighteen digits: lower max_per_file of the policy's payouts"
        )


def _serialise(file: PaymentFile) -> bytes:
    count, total = str(len(file.payments)), currencies.to_decimal_text(file.amount, file.currency)
    document = etree.Element(f"{{{NAMESPACE}}}Document", nsmap={None: NAMESPACE})
    body = _add(document, "CstmrCdtTrfInitn")

    header = _add(body, "GrpHdr")
    _add(header, "MsgId", file.file_id)
    _add(header, "CreDtTm", file.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _add(header, "NbOfTxs", count)
    _add(header, "CtrlSum", total)
    _add(_add(header, "InitgPty"), "Nm", _clean(file.debtor_name))

    batch = _add(body, "PmtInf")
    _add(batch, "PmtInfId", file.file_id)
    _add(batch, "PmtMtd", "TRF")
    _add(batch, "NbOfTxs", count)
    _add(batch, "CtrlSum", total)
    _add(_add(batch, "ReqdExctnDt"), "Dt", file.execution_date.isoformat())
    _add(_add(batch, "Dbtr"), "Nm", _clean(file.debtor_name))
    account = _add(batch, "DbtrAcct")
    _add_account(account, file.debtor_account)
    _add(account, "Ccy", file.currency)
    _add_bank(_add(batch, "DbtrAgt"), file.debtor_agent)
    for transfer in frames.rows(file.payments, *frames.PAYMENTS.column_names):
        _add_transfer(batch, file.currency, *transfer)
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _add_transfer(
    batch: etree._Element,
    currency: str,
    end_to_end_id: str,
    amount: int,
    payee_name: str,
    payee_account: str,
    payee_bank: str | None,
    remittance: str,
) -> None:
    transfer = _add(batch, "CdtTrfTxInf")
    _add(_add(transfer, "PmtId"), "EndToEndId", end_to_end_id)
    _add(_add(transfer, "Amt"), "InstdAmt", currencies.to_decimal_text(amount, currency)).set("Ccy", currency)
    if payee_bank:
        _add_bank(_add(transfer, "CdtrAgt"), payee_bank)
    _add(_add(transfer, "Cdtr"), "Nm", _clean(payee_name))
    _add_account(_add(transfer, "CdtrAcct"), payee_account)
    if text := _clean(remittance):
        _add(_add(transfer, "RmtInf"), "Ustrd", text)


def _add_account(parent: etree._Element, account: str) -> None:
    identification = _add(parent, "Id")
    if is_iban(account):
        _add(identification, "IBAN", account)
    else:
        _add(_add(identification, "Othr"), "Id", account)


def _add_bank(parent: etree._Element, bank: str | None) -> None:
    institution = _add(parent, "FinInstnId")
    if not bank:
        # The element is mandatory for the debtor; this is ISO 20022's word for a value that the sender does not have.
        _add(_add(institution, "Othr"), "Id", "NOTPROVIDED")
    elif _BIC.fullmatch(bank):
        _add(institution, "BICFI", bank)
    else:
        _add(_add(institution, "ClrSysMmbId"), "MmbId", bank)


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


def is_iban(account: str) -> bool:
    """Say whether [account] is an IBAN by shape and check digits (ISO 13616, ISO 7064 MOD 97-10)."""
    if not _IBAN.fullmatch(account):
        return False
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97 == 1


def _clean(text: str) -> str:
    """Compose Hangul and accents, drop what is not a character for people, keep single spaces, cut to the limit."""
    composed = unicodedata.normalize("NFC", text)
    if not composed.isprintable():
        spaced = "".join(" " if character.isspace() else character for character in composed)
        composed = "".join(character for character in spaced if unicodedata.category(character)[0] != "C")
    return " ".join(composed.split())[:LONGEST_TEXT].rstrip()


class _ReadAgain:
    """What an independent parser finds in a payment file's bytes.

    `texts` maps the path below the body to every text that stands there; `transfers` are the columns of the credit
    transfers, in the file's order, and what one leaves out is empty. An account is read wherever it stands, in `IBAN`
    or in `Othr/Id`, a bank in `BICFI` or in `ClrSysMmbId`.
    """

    def __init__(self, content: bytes) -> None:
        self.namespace = ""
        self.texts: dict[str, list[str]] = {
            path: []
            for path in (
                "GrpHdr/MsgId",
                "GrpHdr/NbOfTxs",
                "GrpHdr/CtrlSum",
                "PmtInf/NbOfTxs",
                "PmtInf/CtrlSum",
                "PmtInf/ReqdExctnDt/Dt",
                "PmtInf/DbtrAcct/Id",
            )
        }
        self.transfers: dict[str, list[str]] = {
            name: [] for name in ("end_to_end_id", "amount", "currency", "account", "bank")
        }
        self._path: list[str] = []
        self._text = ""
        self._transfer: dict[str, str] = {}
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(content, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        self.namespace = self.namespace or namespace
        self._path.append(local)
        self._text = ""
        if local == "CdtTrfTxInf":
            self._transfer = {}
        elif local == "InstdAmt":
            self._transfer["Ccy"] = attributes.get("Ccy", "")

    def _characters(self, text: str) -> None:
        self._text += text

    def _end(self, _name: str) -> None:
        path = "/".join(self._path[2:]).replace("Id/IBAN", "Id").replace("Id/Othr/Id", "Id")
        if path in self.texts and self._text.strip():
            self.texts[path].append(self._text)
        elif path.startswith("PmtInf/CdtTrfTxInf/") and self._text.strip():
            self._transfer[path.removeprefix("PmtInf/CdtTrfTxInf/")] = self._text
        elif path == "PmtInf/CdtTrfTxInf":
            found, bank = self._transfer, "CdtrAgt/FinInstnId"
            for name, text in (
                ("end_to_end_id", found.get("PmtId/EndToEndId", "")),
                ("amount", found.get("Amt/InstdAmt", "")),
                ("currency", found.get("Ccy", "")),
                ("account", found.get("CdtrAcct/Id", "")),
                ("bank", found.get(f"{bank}/BICFI", "") or found.get(f"{bank}/ClrSysMmbId/MmbId", "")),
            ):
                self.transfers[name].append(text)
        self._path.pop()
        self._text = ""
