"""What became known of payouts and of their files, applied to them: their states, their money, their payees.

Every way in which something becomes known (an answer, a return, a line, a person's word) keeps it as a fact and ends in
`follow`, which lets the states follow from everything that is known.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.payments import evidence, files
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.files import FileState
from settlement.domain.payments.payouts import PERMANENT_REASONS
from settlement.domain.payments.state import PROVEN_UNPAID, PayoutState
from settlement.ports.books import Books
from settlement.ports.services import Services
from settlement.stages import notify


def set_file_status(
    services: Services,
    books: Books,
    file_id: str,
    *,
    cause: str,
    said: Mapping[str, Any],
    reasons: Mapping[str, str] | None = None,
    now: datetime,
) -> None:
    """Set a file's status, and its payouts', from all its transmissions and reports.

    `reasons` are the bank's by payout id, where it gave one about the payment itself; any other is about the file, and
    nobody's account is held for it.
    """
    file = books.files.file(file_id)
    if file is None:
        return
    state = files.file_status(
        [transmission.outcome for transmission in books.files.transmissions(file_id)],
        is_rejected=bool(file.rejections),
        is_duplicate=bool(file.duplicates),
        is_spoken_of=file.state is FileState.RECEIVED,
    )
    of_file = books.payouts.in_file(file_id)
    if state is FileState.REJECTED:
        ids = of_file["payout_id"].tolist()
        given = reasons or {}
        each = [{**said, "bank_reason": given[one]} if one in given else {**said, "of": "file"} for one in ids]
        books.payouts.keep_facts(ids, FactKind.REFUSED, source=f"file {file_id}", evidence=each, now=now)
        follow(services, books, ids, cause=f"file_{cause}", now=now)
    elif state is FileState.UNKNOWN:
        unheard = of_file.loc[of_file["state"] == PayoutState.SUBMITTED, "payout_id"].tolist()
        books.payouts.step(unheard, PayoutState.UNKNOWN, cause=f"file_{cause}", now=now, evidence=said)
    books.files.mark(file_id, state, now=now)


def withdraw(
    services: Services, books: Books, payouts: pd.DataFrame, *, cause: str, said: Mapping[str, Any], now: datetime
) -> None:
    """Let payouts (frame `PAYOUTS`) that were never handed over end as rejected: their money goes back."""
    ids = payouts["payout_id"].tolist()
    books.payouts.keep_facts(ids, FactKind.WITHDRAWN, source=cause, evidence=said, now=now)
    follow(services, books, ids, cause=cause, now=now)


def follow(services: Services, books: Books, payout_ids: Sequence[str], *, cause: str, now: datetime) -> None:
    """Let payouts be where all that is known of them proves them to be, and their money with them.

    What was given back and turns out to have been paid is taken again; an account that the bank refuses for good is
    remembered. What was never handed over cannot have been paid: a line that names it moves nothing.
    """
    if not payout_ids:
        return
    known = books.payouts.evidence(sorted(set(payout_ids)))
    proven = evidence.states(known)
    moving = known.assign(former=known["state"], state=proven)[proven != known["state"]]
    for state in sorted(set(moving["state"])):
        now_in = moving[moving["state"] == state]
        said = [_proof(row, PayoutState(state)) for row in now_in.to_dict("records")]
        books.payouts.step(now_in["payout_id"].tolist(), PayoutState(state), cause=cause, now=now, evidence=said)
        refused = {
            payout_id: one["bank_reason"]
            for payout_id, one in zip(now_in["payout_id"], said, strict=True)
            if one.get("bank_reason") in PERMANENT_REASONS and one.get("of") != "file"
        }
        if refused:
            books.payouts.refuse_accounts(refused, now=now)
    for on in sorted(set(moving["settlement_date"])):
        of_day = moving[moving["settlement_date"] == on]
        dated = open_date(services, books, on.date())
        given_back = of_day[of_day["former"].isin(PROVEN_UNPAID)]
        if len(given_back):
            books.payouts.take_back(given_back, settlement_date=dated, now=now)
        for state in PROVEN_UNPAID:
            books.payouts.credit_back(of_day[of_day["state"] == state], state=state, settlement_date=dated, now=now)
    shown = known[known["booked_on"].notna() & proven.isin((PayoutState.BOOKED, PayoutState.RETURNED))]
    books.payouts.note_booking(dict(frames.rows(shown, "payout_id", "booked_on")))


def open_date(services: Services, books: Books, on: date) -> date:
    """Return the date under which something of a settlement date is booked now: after every date that is certified."""
    certified = books.close.certified_until()
    return on if certified is None or certified < on else services.calendar.calendar.next_business_day(certified)


def _proof(row: Mapping[str, Any], state: PayoutState) -> dict[str, Any]:
    """Return what proves the state of a payout (a row of `EVIDENCE`), for its history."""
    if state is PayoutState.BOOKED:
        return {"line_id": row["debit_line"], "booked_on": row["booked_on"].date().isoformat()}
    told = row["return_said"] if state is PayoutState.RETURNED else row["rejection_said"]
    if isinstance(told, str):
        return dict(json.loads(told))
    reason = row["credit_reason"]
    return {"line_id": row["credit_line"]} | ({"bank_reason": reason} if isinstance(reason, str) else {})


@contextmanager
def notifying_of_answers(services: Services, books: Books, *, now: datetime) -> Iterator[None]:
    """Do what may answer for unknown payouts; where it does for the last one of a date, people hear that it is over."""
    before = books.payouts.unknown_dates()
    yield
    for on in sorted(before - books.payouts.unknown_dates()) if before else ():
        notify.payouts_answered(books, on, now=now)
