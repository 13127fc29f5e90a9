"""Reading a return (pacs.004, versions .02 and later): payments of ours that came back after they were booked.

One `Return` per `TxInf`. The original file stands at the transaction or, for all of them, at the group.
Proofs: `NbOfTxs`, `CtrlSum` and `TtlRtrdIntrBkSttlmAmt`, where stated. Refused: a return of a whole group that names no
payment, a return without the payment's id or with an amount of nothing, one payment returned twice in one message.
"""

from decimal import Decimal

from settlement.adapters.bank.formats import document
from settlement.adapters.bank.formats.document import Document, Element, required, text, texts
from settlement.domain import currencies
from settlement.domain.bank.messages import Return
from settlement.domain.errors import UnreadableMessage


def read(message: Document) -> tuple[Return, ...]:
    """Return what a parsed pacs.004 says, at least one return. Raises UnreadableMessage."""
    body = message.body
    header = body.find("GrpHdr")
    if header is None:
        raise UnreadableMessage("a return has a GrpHdr", line=document.line(body))
    returns = tuple(_return(found, header, message) for found in body.iterfind("TxInf"))
    if not returns:
        raise UnreadableMessage("the message names no returned payment", line=document.line(body))
    _prove(returns, header)
    return returns


def _return(found: Element, header: Element, message: Document) -> Return:
    body, zone = message.body, message.zone
    end_to_end_id = required(found, "OrgnlEndToEndId")
    stated = found.find("RtrdIntrBkSttlmAmt")
    if stated is None:
        raise UnreadableMessage(f"the return of [{end_to_end_id}] has no amount", line=document.line(found))
    amount, currency = document.amount(stated)
    if amount == 0:
        raise UnreadableMessage(f"the return of [{end_to_end_id}] is of nothing", line=document.line(stated))
    return Return(
        return_id=text(found, "RtrId"),
        end_to_end_id=end_to_end_id,
        amount=amount,
        currency=currency,
        original_amount=_original(found, currency),
        reason=document.reason(found, "RtrRsnInf/Rsn") or document.reason(body, "OrgnlGrpInf/RtrRsnInf/Rsn"),
        text=" ".join(texts(found, "RtrRsnInf/AddtlInf")),
        return_date=document.day(found, "IntrBkSttlmDt", zone=zone) or document.day(header, "IntrBkSttlmDt", zone=zone),
        file_id=text(found, "OrgnlGrpInf/OrgnlMsgId") or text(body, "OrgnlGrpInf/OrgnlMsgId"),
    )


def _original(found: Element, currency: str) -> int | None:
    """Return what was paid, where the bank says it in the currency in which it comes back."""
    stated = found.find("OrgnlIntrBkSttlmAmt")
    if stated is None or stated.get("Ccy", currency) != currency:
        return None
    amount, _ = document.amount(stated, currency=currency)
    return amount or None


def _prove(returns: tuple[Return, ...], header: Element) -> None:
    def refuse(why: str) -> UnreadableMessage:
        return UnreadableMessage(why, line=document.line(header))

    if len({found.end_to_end_id for found in returns}) != len(returns):
        raise refuse("one payment is returned more than once")
    stated_count = document.count(header, "NbOfTxs")
    if stated_count not in (None, len(returns)):
        raise refuse(f"NbOfTxs says [{stated_count}], the message holds [{len(returns)}] returns")
    stated_sum = document.control_sum(header, "CtrlSum")
    held = sum((Decimal(found.amount).scaleb(-currencies.exponent(found.currency)) for found in returns), Decimal(0))
    if stated_sum not in (None, held):
        raise refuse(f"CtrlSum says [{stated_sum}], the returns sum to [{held}]")
    total = header.find("TtlRtrdIntrBkSttlmAmt")
    if total is not None:
        amount, currency = document.amount(total)
        sums = {found.currency: 0 for found in returns}
        for found in returns:
            sums[found.currency] += found.amount
        if sums != {currency: amount}:
            raise refuse(f"TtlRtrdIntrBkSttlmAmt says [{amount}] {currency}, the returns sum to {sums}")
