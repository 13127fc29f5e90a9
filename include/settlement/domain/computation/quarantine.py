"""Why a loan is refused (rules, section 8): the rule that it breaks first, and the rows that prove it.

The order in which rules are tried is the order of this module: what the loan's own rows say (`structural`), then what
its money would do (`principal_exceeds_outstanding`, found by the waterfall), then who its shares would go to
and what would be taxed of them (`of_holder`, `of_tax`). Refusals are rare, so clarity comes before speed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from settlement.domain import frames
from settlement.domain.computation import encode
from settlement.domain.computation.encode import EncodedInputs
from settlement.domain.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One loan's refusal: the rule, and the evidence as JSON."""

    rule: str
    evidence: str


def structural(encoded: EncodedInputs, policy: Policy) -> dict[int, Refusal]:
    """Return the loans that their own rows refuse, whatever their money does: each with the first rule it breaks."""
    refused = {loan: too_large(encoded, loan) for loan in encoded.too_large}
    for loan in np.flatnonzero(np.diff(encoded.notes.start) == 0).tolist():
        refused[loan] = _refusal("no_notes", loan_id=encoded.loan_ids[loan].as_py())
    for code, currency in enumerate(encoded.currency_names):
        if currency not in policy.currencies:
            for loan in np.flatnonzero(encoded.currency == code).tolist():
                refused[loan] = _refusal("unknown_currency", loan_id=encoded.loan_ids[loan].as_py(), currency=currency)
    unknown: dict[int, list[int]] = {}
    for place in encoded.receivables.unknown_components:
        unknown.setdefault(int(np.searchsorted(encoded.receivables.start, place, side="right")) - 1, []).append(place)
    for loan, places in unknown.items():
        rows = [
            {
                "receivable_id": encoded.receivables.ids[place].as_py(),
                "component": encoded.receivables.unknown_components[place],
            }
            for place in places
        ]
        rows.sort(key=lambda row: row["receivable_id"].encode())
        refused[loan] = _refusal("unknown_component", loan_id=encoded.loan_ids[loan].as_py(), receivables=rows)
    return refused


def too_large(encoded: EncodedInputs, loan: int) -> Refusal:
    """Return the refusal of a loan whose notes, or whose money in the run, come to more than can be added up."""
    return _refusal("amounts_too_large", loan_id=encoded.loan_ids[loan].as_py(), **encoded.too_large[loan])


def principal_exceeds(
    encoded: EncodedInputs, *, loan: int, repayment: int, allocated: list[tuple[int, int]], outstanding: int
) -> Refusal:
    """Return the refusal of a loan whose `repayment` would pay the `allocated` (receivable, amount) of principal."""
    return _refusal(
        "principal_exceeds_outstanding",
        loan_id=encoded.loan_ids[loan].as_py(),
        repayment_id=encoded.repayment_ids[repayment].as_py(),
        outstanding=outstanding,
        allocated=[
            {"receivable_id": encoded.receivables.ids[receivable].as_py(), "amount": amount}
            for receivable, amount in allocated
        ],
    )


def of_holder(
    encoded: EncodedInputs, *, repayment: int, receivable: int, note: int, record_day: int, gross: int
) -> Refusal:
    """Return the refusal of a loan whose share has no holder or two on its record date, or one that nobody knows."""
    first, last = int(encoded.notes.holding_start[note]), int(encoded.notes.holding_start[note + 1])
    held_from, until = encoded.notes.held_from[first:last], encoded.notes.held_until_exclusive[first:last]
    holds = (held_from <= record_day) & (record_day < until)
    facts: dict[str, Any] = _share_facts(encoded, repayment=repayment, receivable=receivable, note=note, gross=gross)
    facts["record_date"] = encode.as_date(record_day)
    holdings = [
        {
            "investor_id": encoded.investor_ids[int(encoded.notes.holder[place])].as_py(),
            "held_from": encode.as_date(int(encoded.notes.held_from[place])),
            "held_until_exclusive": _end(int(encoded.notes.held_until_exclusive[place])),
        }
        for place in range(first, last)
    ]
    if int(holds.sum()) == 0:
        return _refusal("no_holder", holdings=holdings, **facts)
    held = [holding for holding, is_on in zip(holdings, holds.tolist(), strict=True) if is_on]
    if len(held) > 1:
        return _refusal("two_holders", holdings=held, **facts)
    return _refusal("unknown_investor", investor_id=held[0]["investor_id"], **facts)


def of_tax(
    encoded: EncodedInputs,
    policy: Policy,
    *,
    loan: int,
    repayment: int,
    receivable: int,
    note: int,
    investor: int,
    gross: int,
) -> Refusal:
    """Return the refusal of a loan whose interest share has no withholding rule, or two."""
    case: dict[str, Any] = {
        "currency": encoded.currency_names[int(encoded.currency[loan])],
        "tax_class": encoded.tax_class_names[int(encoded.tax_class[investor])],
        "disbursed_on": encode.as_date(int(encoded.disbursed_on[loan])),
        "settlement_date": encode.as_date(encoded.settlement_day),
    }
    rules = policy.tax_rules(**case)
    return _refusal(
        "two_tax_rules" if rules else "no_tax_rule",
        investor_id=encoded.investor_ids[investor].as_py(),
        rules=[rule.model_dump(mode="json", exclude_none=True) for rule in rules],
        **case,
        **_share_facts(encoded, repayment=repayment, receivable=receivable, note=note, gross=gross),
    )


def unpayable(encoded: EncodedInputs, *, loan: int, refund: Mapping[Any, Any], held: int) -> Refusal:
    """Return the refusal of a refund (a row of `REFUNDS`) of more than is held, or in another currency than it is."""
    return _refusal(
        "refund_exceeds_credit",
        refund_id=refund["refund_id"],
        loan_id=refund["loan_id"],
        amount=refund["amount"],
        currency=refund["currency"],
        held=held,
        held_in=None if loan == encode.NONE else encoded.currency_names[int(encoded.currency[loan])],
    )


def _share_facts(encoded: EncodedInputs, *, repayment: int, receivable: int, note: int, gross: int) -> dict[str, Any]:
    return {
        "repayment_id": encoded.repayment_ids[repayment].as_py(),
        "receivable_id": encoded.receivables.ids[receivable].as_py(),
        "note_id": encoded.notes.ids[note].as_py(),
        "gross_amount": gross,
    }


def _end(day: int) -> Any:
    return None if day == encode.FOREVER else encode.as_date(day)


def _refusal(rule: str, **facts: Any) -> Refusal:
    return Refusal(rule=rule, evidence=frames.evidence(**facts))
