"""Reading a status report (pain.002, versions .02 and later): what the bank says of one payment file.

1. The file that it answers is `OrgnlMsgId`; a bank that could not read it says NOTPROVIDED.
2. The file's status is `GrpSts`; a batch's (`PmtInfSts`) speaks for the file where there is no other, and where it
   rejects the batch without naming a payment, because a file of ours is one batch.
3. A payment's status is `TxSts`, and where the report names a payment without one, its batch's or its file's.

Refused: a report without any status, a payment without its id, two different statuses for one payment.
"""

import re

import pandas as pd

from settlement.adapters.bank.formats import document
from settlement.adapters.bank.formats.document import Document, Element, required, text, texts
from settlement.domain import frames
from settlement.domain.bank.messages import REJECTED, FileAnswer
from settlement.domain.errors import UnreadableMessage

_STATUS = re.compile(r"[A-Z]{4}")
_NOT_PROVIDED = "NOTPROVIDED"

_Said = tuple[str, str, str | None, str]
"""What a report says of one payment: a row of `PAYMENT_STATUSES`."""


def read(report: Document) -> FileAnswer:
    """Return what a parsed pain.002 says. Raises UnreadableMessage."""
    body = report.body
    header = body.find("GrpHdr")
    group = body.find("OrgnlGrpInfAndSts")
    if header is None or group is None:
        raise UnreadableMessage("a status report has a GrpHdr and an OrgnlGrpInfAndSts", line=document.line(body))
    file_id = required(group, "OrgnlMsgId")
    group_status, reason, explanation = _status(group, "GrpSts"), _reason(group), _explanation(group)

    payments: list[_Said] = [_payment(found, group_status) for found in body.iterfind("TxInfAndSts")]
    batch_statuses: set[str] = set()
    for batch in body.iterfind("OrgnlPmtInfAndSts"):
        batch_status = _status(batch, "PmtInfSts")
        named = [_payment(found, batch_status or group_status) for found in batch.iterfind("TxInfAndSts")]
        payments += named
        if batch_status:
            batch_statuses.add(batch_status)
        if batch_status == REJECTED and not named:
            reason, explanation = reason or _reason(batch), explanation or _explanation(batch)

    if batch_statuses == {REJECTED} and not payments:
        group_status = REJECTED
    if group_status is None and batch_statuses:
        group_status = batch_statuses.pop() if len(batch_statuses) == 1 else "PART"
    if group_status is None and not payments:
        raise UnreadableMessage(f"the report on file [{file_id}] states no status", line=document.line(group))
    return FileAnswer(
        message_id=required(header, "MsgId"),
        file_id=None if file_id == _NOT_PROVIDED else file_id,
        group_status=group_status,
        reason=reason,
        text=explanation,
        payments=_each_once(payments, group),
    )


def _payment(found: Element, inherited: str | None) -> _Said:
    end_to_end_id = required(found, "OrgnlEndToEndId")
    status = _status(found, "TxSts") or inherited
    if status is None:
        raise UnreadableMessage(f"payment [{end_to_end_id}] has no status", line=document.line(found))
    return end_to_end_id, status, _reason(found), _explanation(found)


def _each_once(payments: list[_Said], group: Element) -> pd.DataFrame:
    """Return a frame `PAYMENT_STATUSES`; of what is said twice, the first."""
    by_id: dict[str, _Said] = {}
    for said in payments:
        end_to_end_id, status, *_ = said
        earlier = by_id.setdefault(end_to_end_id, said)[1]
        if earlier != status:
            raise UnreadableMessage(
                f"payment [{end_to_end_id}] is both [{earlier}] and [{status}]", line=document.line(group)
            )
    return frames.build(frames.PAYMENT_STATUSES, by_id.values())


def _status(element: Element, path: str) -> str | None:
    value = text(element, path)
    if value is not None and not _STATUS.fullmatch(value):
        raise UnreadableMessage(f"[{value[:40]}] in [{path}] is not a status", line=document.line(element))
    return value


def _reason(element: Element) -> str | None:
    return document.reason(element, "StsRsnInf/Rsn")


def _explanation(element: Element) -> str:
    return " ".join(texts(element, "StsRsnInf/AddtlInf"))
