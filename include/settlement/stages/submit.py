"""Handing payment files to the bank: written and committed first, then sent, then the answer kept.

A payout goes out under one id for life, and after an answer that did not arrive it is asked for, never sent again under
another id. A file that may have arrived goes out again only to a bank that is known to check for duplicates.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.bank.messages import PaymentFile, Submission, SubmissionOutcome
from settlement.domain.errors import Unavailable
from settlement.domain.payments import payouts
from settlement.domain.payments.files import MAY_BE_SENT, FileState
from settlement.domain.payments.state import UNPROVEN, PayoutState
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.files import SentFile, Transmission
from settlement.ports.services import Services
from settlement.stages import apply, take_in

IsToGo = Callable[[SentFile, Sequence[Transmission]], bool]
"""Tells of a file and its transmissions so far whether it is to be handed over."""


def submit(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Hand the approved payouts to the bank: files written and committed first, then sent, then the answer kept.

    Raises Unavailable: a file is proven not to have left; trying again sends the same bytes under the same id.
    """
    if not day.is_paying:
        return {"skipped": "no transfer"}
    _write_files(services, day, now=now)
    with services.ledger.books(day=day, read_only=True) as books:
        files = books.files.find(day.settlement_date, states=MAY_BE_SENT)
    return {"files": len(files)} | send(services, [file.file_id for file in files], day=day, now=now)


def send(
    services: Services,
    file_ids: Sequence[str],
    *,
    day: DayRun | None,
    is_to_go: IsToGo | None = None,
    now: datetime,
) -> dict[str, Any]:
    """Send files, or send them again under the same id where that is safe, and keep what each answer proves.

    Every file is tried before an error is raised, so one that cannot leave does not keep the others back. `is_to_go` is
    asked of a file and its transmissions as they are when it is its turn.

    Raises Unavailable: at least one file is proven not to have left.
    """
    assert services.bank is not None
    outcomes: dict[str, int] = defaultdict(int)
    not_sent: list[str] = []
    for file_id in file_ids:
        handed_over = _hand_over(services, file_id, day=day, is_to_go=is_to_go, now=now)
        if handed_over is None:
            continue
        number, content = handed_over
        answer = services.bank.submit(file_id, content)
        _keep_answer(services, file_id, number, answer, now=now)
        outcomes[answer.outcome.value] += 1
        if answer.outcome is SubmissionOutcome.NOT_SENT:
            not_sent.append(answer.text)
    take_in.apply_new(services, now=now)
    if not_sent:
        raise Unavailable(not_sent[0])
    return dict(outcomes)


def may_go(services: Services, transmissions: Sequence[Transmission]) -> bool:
    """Tell whether a file with these transmissions may be handed over: never twice where a second order would be paid.

    What is proven not to have left may always go; what may have arrived, only where the bank checks for duplicates.
    """
    if services.bank is not None and services.bank.checks_duplicates:
        return True
    return all(transmission.outcome is SubmissionOutcome.NOT_SENT for transmission in transmissions)


def execution_date(services: Services, on: date, now: datetime) -> date:
    """The next business day after the settlement date, or today if that is later."""
    return max(services.calendar.calendar.next_business_day(on), services.calendar.local_date(now))


def _write_files(services: Services, day: DayRun, *, now: datetime) -> None:
    debtor = services.debtor
    assert debtor is not None
    with services.ledger.books(day=day, posting=True) as books:
        approved = books.payouts.find(day.settlement_date, states=(PayoutState.APPROVED,))
        unwritten = approved[approved["file_id"].isna()].sort_values("end_to_end_id")
        unwritten = _without_frozen(services, books, day, unwritten, now=now)
        for currency in sorted(set(unwritten["currency"])):
            of_currency = unwritten[unwritten["currency"] == currency]
            size = services.policy.payouts[currency].max_per_file
            for start in range(0, len(of_currency), size):
                part = of_currency.iloc[start : start + size]
                file = PaymentFile(
                    file_id=payouts.file_id(part["end_to_end_id"], settlement_date=day.settlement_date),
                    created_at=now,
                    execution_date=execution_date(services, day.settlement_date, now),
                    debtor_name=debtor.name,
                    debtor_account=debtor.account,
                    debtor_agent=debtor.agent,
                    currency=currency,
                    payments=_payments(part),
                )
                books.files.keep(day, file.file_id, services.write_file(file), part, now=now)


def _without_frozen(
    services: Services, books: Books, day: DayRun, unwritten: pd.DataFrame, *, now: datetime
) -> pd.DataFrame:
    """Return the payouts (frame `PAYOUTS`) of which no payee was frozen since they were prepared.

    The others are withdrawn: their money is owed again, and held. What stands in a file goes out with it.
    """
    if unwritten.empty:
        return unwritten
    payees = services.core.payees(*payouts.of_each_kind(unwritten))
    frozen_payees = payees.loc[payees["status"] == "frozen", [*payouts.PAYEE]]
    is_frozen = pd.MultiIndex.from_frame(unwritten[[*payouts.PAYEE]]).isin(pd.MultiIndex.from_frame(frozen_payees))
    if is_frozen.any():
        frozen = unwritten[is_frozen]
        apply.withdraw(services, books, frozen, cause="frozen", said={"run_id": day.run_id}, now=now)
        held = frozen.groupby([*payouts.PAYEE, "currency"], as_index=False)["amount"].sum().assign(reason="frozen")
        holds = pd.concat([books.payouts.holds(), held]).drop_duplicates([*payouts.PAYEE, "currency"], keep="last")
        booked_on = apply.open_date(services, books, day.settlement_date)
        none = frames.build(frames.NEW_PAYOUTS)
        books.payouts.prepare(day, none, holds.reset_index(drop=True), booked_on=booked_on, now=now)
    return unwritten[~is_frozen]


def _payments(part: pd.DataFrame) -> pd.DataFrame:
    """Return payouts (frame `PAYOUTS`) as the payments of a file: the payee reads the id that the bank knows."""
    named = part.assign(remittance=part["end_to_end_id"])
    return frames.check(named[frames.PAYMENTS.column_names], frames.PAYMENTS)


def _hand_over(
    services: Services,
    file_id: str,
    *,
    day: DayRun | None,
    is_to_go: IsToGo | None = None,
    now: datetime,
) -> tuple[int, bytes] | None:
    """Write that the bank may have the file from here on; None where it is no longer to be sent.

    This is committed before the bank is called, and by a run that still holds its day.
    """
    with services.ledger.books(day=day, posting=True) as books:
        file, of_file = books.files.file(file_id), books.payouts.in_file(file_id)
        if file is None or not of_file["state"].isin((PayoutState.APPROVED, *UNPROVEN)).all():
            return None
        transmissions = books.files.transmissions(file_id)
        if not may_go(services, transmissions) or (is_to_go and not is_to_go(file, transmissions)):
            return None
        approved = of_file.loc[of_file["state"] == PayoutState.APPROVED, "payout_id"].tolist()
        books.payouts.step(approved, PayoutState.SUBMITTED, cause="sent", now=now, evidence={"file_id": file_id})
        number = books.files.open_transmission(file_id, run_id=day.run_id if day else None, now=now)
        if file.state is FileState.PREPARED:
            books.files.mark(file_id, FileState.SUBMITTED, now=now)
        return number, books.files.content(file_id)


def _keep_answer(services: Services, file_id: str, number: int, answer: Submission, *, now: datetime) -> None:
    """Record what came back and what it proves. What a bank said is kept even if the run was displaced meanwhile."""
    with services.ledger.books(posting=True) as books, apply.notifying_of_answers(services, books, now=now):
        for message in answer.messages:
            books.bank_lines.keep_message(message, direction="in", now=now)
        books.files.close_transmission(file_id, number, answer, now=now)
        said = {"status_code": answer.status_code, "text": answer.text}
        reason = {"bank_reason": answer.reason} if answer.reason else {}
        apply.set_file_status(services, books, file_id, cause="answer", said=said | reason, now=now)
