"""Paying what the ledger owes: take in, prepare, approve, submit, hear the answers. Each step commits before the next.

A payout is written and committed before the bank is called, goes out under one id for life, and after an answer that
did not arrive it is asked for, never sent again under another id.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from settlement.domain.alerts import (
    ApprovalDone,
    ApprovalNeeded,
    InputLate,
    Money,
    PayoutsRejected,
    PayoutsUnknown,
    Resolved,
)
from settlement.domain.bank.messages import Outcome, Payment, PaymentFile, Submission
from settlement.domain.errors import NotYet, Refused, Unavailable
from settlement.domain.payments import gate, payouts
from settlement.domain.payments.gate import Blocking, Objection, Proposal
from settlement.domain.payments.payouts import PROVEN_UNPAID
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import intake, report

OVERRIDE = "override:"
"""A run whose reason begins so answers for the objections that it meets, in the name of whoever triggered it."""

USUAL_WEEKS = 8
"""So many weeks back the same weekday is looked at for what is usual."""

LATE_BEFORE = timedelta(hours=1)
"""So long before the policy's `gate.wait_until` a statement that has not come is late."""

STILL_TALKING = timedelta(minutes=5)
"""For so long after a file was handed over without an answer, whoever did it may still be listening."""

ASK_AGAIN_AFTER = timedelta(hours=20)
"""A bank that took a file and says nothing of it is asked again after this time: on its next business day."""


NOBODY_KNOWS = ("submitted", "unknown")
"""The states of a payout of which the bank has proven nothing so far."""


class _Objected(Exception):
    """Something speaks against paying, and nobody answers for it. Undoes the transaction that met it."""

    def __init__(self, objections: Sequence[Objection]) -> None:
        super().__init__()
        self.objections = objections


def is_paying(day: DayRun) -> bool:
    """Tell whether the run may move money: not on a dry run, and not when it was asked to compute and book only."""
    return day.transfer and not day.dry_run


def take_in(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take in what the bank sent and prove that the gate may open: the statement that the policy asks for is there.

    :raises NotYet: the statement has not come; it is waited for until the policy's `gate.wait_until`.
    :raises Refused: it has not come in time, and nobody answers for paying without it.
    """
    if not is_paying(day):
        return {"skipped": "no transfer"}
    intake.require_bank(services)
    counts = intake.take_in(services, now=now)
    with _keeping_objections(services, day, now=now), services.ledger.books(day=day) as books:
        newest = _newest_statement(services, books)
        proposal = _proposal(services, books, day, prepared=[])
        missing = [
            Objection(control=gate.statement_has_come.__name__, said=said)
            for said in gate.statement_has_come(proposal, services.policy)
        ]
        until = _next_day_at(services, day.settlement_date, services.policy.gate.wait_until)
        is_waited_for = bool(missing) and now < until and not services.is_now_set
        if not is_waited_for:
            _answer_for(books, day, missing, now=now)
        if services.alerts and missing and now >= until - LATE_BEFORE:
            late = InputLate(
                settlement_date=day.settlement_date,
                backfill_id=day.backfill_id,
                source="statement",
                expected_at=until,
            )
            services.alerts.record(books.transaction, late, now=now)
        elif services.alerts and not missing:
            over = Resolved(
                settlement_date=day.settlement_date, problem="input:statement", problem_event=InputLate.name
            )
            services.alerts.record(books.transaction, over, now=now)
    if is_waited_for:
        if services.alerts:
            services.alerts.deliver(now=now, limit_seconds=5)
        raise NotYet(f"{missing[0].said}; it is waited for until [{until.isoformat()}]", until=until)
    return counts | ({"statement": newest["statement_id"]} if newest else {})


def prepare(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Write the payouts of everything the ledger owes and may pay now, with their entries, and say what is held.

    What earlier days prepared and nobody is going to send goes back to the balances first, and is paid from there.

    :raises Refused: something speaks against paying (see `domain.gate`); nothing is prepared.
    """
    if not is_paying(day):
        return {"skipped": "no transfer"}
    intake.require_bank(services)
    assert services.debtor is not None
    with _keeping_objections(services, day, now=now), services.ledger.books(day=day, posting=True) as books:
        released = _release_stranded(services, books, day, now=now)
        balances = books.payouts.payables()
        prepared, holds = payouts.from_balances(
            balances,
            payees=services.core.payees(sorted({owed.investor_id for owed in balances})),
            policy=services.policy,
            channels={services.debtor.currency},
            refused=books.payouts.refused_accounts(),
            places=books.payouts.slots(day),
            settlement_date=day.settlement_date,
            revision=day.revision,
        )
        proposal = _proposal(services, books, day, prepared=prepared)
        _answer_for(books, day, gate.objections(proposal, services.policy), now=now)
        books.payouts.prepare(day, prepared, holds, now=now)
        waiting = books.payouts.find(day.settlement_date, states=("prepared",))
        if waiting:
            books.days.set_state(day.settlement_date, "paying", now=now)
    return {
        "payouts": len(waiting),
        "amounts": _amounts(waiting),
        "held": len(holds),
        "held_amounts": _amounts([{"currency": hold.currency, "amount": hold.amount} for hold in holds]),
    } | ({"released": _amounts(released)} if released else {})


def approval(services: Services, day: DayRun, *, triggered_by: str | None = None, now: datetime) -> dict[str, Any]:
    """Return the question that a second person must answer, or `needed` false and approve what is within the limit.

    The question binds to the hash of exactly these payouts; when anything in them changes it is another question.
    """
    if not is_paying(day):
        return {"needed": False, "skipped": "no transfer"}
    with services.ledger.books(day=day, posting=True) as books:
        waiting = books.payouts.find(day.settlement_date, states=("prepared",))
        limits = services.policy.approval.limit
        of_day = [p for p in books.payouts.find(day.settlement_date) if p["state"] not in PROVEN_UNPAID]
        above = {c: a for c, a in _amounts(of_day).items() if c in limits and a > limits[c]}
        if not waiting or not above:
            books.payouts.step([p["payout_id"] for p in waiting], "approved", cause="within_the_limit", now=now)
            return {"needed": False, "payouts": len(waiting)}
        question: dict[str, Any] = {
            "needed": True,
            "approval_id": _approval_id(day, waiting),
            "payouts_sha256": _hash(waiting),
            "count": len(waiting),
            "amounts": _amounts(waiting),
            "limits": {currency: limits[currency] for currency in above},
            "approvers": [name for name in services.policy.approval.approvers if name != triggered_by],
            "expires_at": (now + timedelta(hours=services.policy.approval.timeout_hours)).isoformat(),
        }
        books.approvals.request(day, question, now=now)
        books.days.set_state(day.settlement_date, "awaiting_approval", now=now)
        if services.alerts:
            services.alerts.record(
                books.transaction,
                ApprovalNeeded(
                    settlement_date=day.settlement_date,
                    backfill_id=day.backfill_id,
                    run_id=day.run_id,
                    batch=question["approval_id"],
                    count=len(waiting),
                    amounts=_money(question["amounts"]),
                    limits=_money(question["limits"]),
                    expires_at=datetime.fromisoformat(question["expires_at"]),
                ),
                now=now,
            )
    return question


def decide(
    services: Services, day: DayRun, *, approved: bool, by: str, reason: str | None = None, now: datetime
) -> dict[str, Any]:
    """Keep the decision about the day's waiting payouts, and act on it: approve them, or give their money back.

    An approval that comes after the question has expired is none: the payouts count as rejected.

    :raises Refused: the payouts are not the ones that the question was about, or who answers is who triggered the run.
    """
    with services.ledger.books(day=day, posting=True) as books:
        waiting = books.payouts.find(day.settlement_date, states=("prepared",))
        if not waiting:
            return {"approved": approved, "payouts": 0}
        approval_id = _approval_id(day, waiting)
        question = books.approvals.find(approval_id)
        if question is None or question["decision"] is not None:
            raise Refused(
                f"The payouts of [{day.settlement_date}] changed after they were put to a second person: clear the task"
                " approve, so that exactly these are asked for"
            )
        run = books.days.run(day.run_id)
        if approved and run is not None and run["triggered_by"] == by:
            raise Refused(
                f"The payouts of [{day.settlement_date}] need a second person: [{by}] triggered this run and cannot"
                " approve them. Clear the task approve, and let another approver answer"
            )
        is_late = now > question["expires_at"]
        decision = "approved" if approved and not is_late else "expired" if is_late or by == "timeout" else "rejected"
        books.approvals.decide(approval_id, decision=decision, by=by, reason=reason, now=now)
        evidence = {"by": by, "approval_id": approval_id}
        if decision == "approved":
            books.payouts.step(
                [p["payout_id"] for p in waiting], "approved", cause="approved", now=now, evidence=evidence
            )
        else:
            intake.give_back(books, waiting, "rejected", cause=f"approval_{decision}", now=now, evidence=evidence)
        books.days.set_state(day.settlement_date, "paying", now=now)
        if services.alerts:
            services.alerts.record(
                books.transaction,
                ApprovalDone(
                    settlement_date=day.settlement_date,
                    backfill_id=day.backfill_id,
                    batch=approval_id,
                    approved=decision == "approved",
                    by=by,
                    at=now,
                ),
                now=now,
            )
    return {"approved": decision == "approved", "payouts": len(waiting), "by": by}


def submit(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Hand the approved payouts to the bank: files written and committed first, then sent, then the answer kept.

    :raises Unavailable: a file is proven not to have left; trying again sends the same bytes under the same id.
    """
    if not is_paying(day):
        return {"skipped": "no transfer"}
    _write_files(services, day, now=now)
    with services.ledger.books(day=day, read_only=True) as books:
        files = books.files.find(day.settlement_date, states=("prepared", "submitted", "unknown"))
    return {"files": len(files)} | send(services, [file["file_id"] for file in files], day=day, now=now)


def send(services: Services, file_ids: Sequence[str], *, day: DayRun | None, now: datetime) -> dict[str, Any]:
    """Send files, or send them again under the same id, and keep what each answer proves.

    Every file is tried before an error is raised, so one that cannot leave does not keep the others back.

    :raises Unavailable: at least one file is proven not to have left.
    """
    assert services.bank is not None
    outcomes: dict[str, int] = defaultdict(int)
    not_sent: list[str] = []
    for file_id in file_ids:
        handed_over = _hand_over(services, file_id, day=day, now=now)
        if handed_over is None:
            continue
        number, content = handed_over
        answer = services.bank.submit(file_id, content)
        _keep_answer(services, file_id, number, answer, now=now)
        outcomes[answer.outcome.value] += 1
        if answer.outcome is Outcome.NOT_SENT:
            not_sent.append(answer.text)
    intake.apply_new(services, now=now)
    if not_sent:
        raise Unavailable(not_sent[0])
    return dict(outcomes)


def answers(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take in the bank's answers; what is submitted and still unanswered becomes unknown, with the money at risk."""
    if not is_paying(day):
        return {"skipped": "no transfer"}
    intake.take_in(services, now=now)
    with services.ledger.books(day=day, posting=True) as books:
        silent = books.payouts.find(day.settlement_date, states=("submitted",))
        books.payouts.step([p["payout_id"] for p in silent], "unknown", cause="no_answer", now=now)
        of_day = books.payouts.find(day.settlement_date)
        _tell_of_payouts(services, books, day, of_day, now=now)
        report.done(services, books, day, "transfer", row_count=len(of_day), now=now)
    return {
        "payouts": {
            state: _amounts([p for p in of_day if p["state"] == state])
            for state in sorted({p["state"] for p in of_day})
        }
    }


def inquire(services: Services, *, now: datetime) -> dict[str, Any]:
    """Ask again for every file of which the bank has proven nothing: the same bytes under the same id.

    Only proof moves a payout: a status, a statement line, or the bank's taking the file now, which shows that it did
    not have it. A bank that says it has the file is not asked again; its statuses and statements tell the rest.
    """
    if services.bank is None:
        return {}
    with services.ledger.books(read_only=True) as books:
        waiting = {p["file_id"] for p in books.payouts.find(states=("unknown", "submitted")) if p["file_id"]}
        files = [file for file in books.files.find() if file["file_id"] in waiting]
        asked = [
            f["file_id"] for f in files if _is_to_be_asked_for(f, books.files.transmissions(f["file_id"]), now=now)
        ]
    return send(services, asked, day=None, now=now) if asked else {}


def objections(services: Services, on: date) -> list[dict[str, Any]]:
    """Return what was said against paying for a settlement date, and who answered for it."""
    with services.ledger.books(read_only=True) as books:
        return books.approvals.objections(on)


def override(services: Services, on: date, *, by: str, reason: str, now: datetime) -> list[dict[str, Any]]:
    """Keep that a person answers for everything that was said against paying for a settlement date; return it.

    :raises Refused: name or reason is missing, or there is nothing that anybody can answer for.
    """
    if not by.strip() or not reason.strip():
        raise Refused("Whoever answers for an objection gives a name and a reason: --by NAME --reason TEXT")
    with services.ledger.books(settlement_date=on) as books:
        said = [Objection(control=row["control"], said=row["said"]) for row in books.approvals.objections(on)]
        open_to_answer = [objection.said for objection in said if not objection.is_final]
        if not books.approvals.override(on, said=open_to_answer, by=by.strip(), reason=reason.strip(), now=now):
            raise Refused(f"Nothing that somebody could answer for speaks against paying for [{on}]")
        return books.approvals.objections(on)


def unknown_files(services: Services) -> list[dict[str, Any]]:
    """Return the files with payouts of which nobody knows whether the bank pays them, with the money at risk."""
    with services.ledger.books(read_only=True) as books:
        at_risk: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for payout in books.payouts.find(states=NOBODY_KNOWS):
            at_risk[payout["file_id"]].append(payout)
        return [
            {
                "file_id": file["file_id"],
                "settlement_date": file["settlement_date"],
                "state": file["state"],
                "sent_at": file["sent_at"],
                "transmissions": len(books.files.transmissions(file["file_id"])),
                "payouts": len(at_risk[file["file_id"]]),
                "currency": file["currency"],
                "amount": sum(payout["amount"] for payout in at_risk[file["file_id"]]),
            }
            for file in books.files.find()
            if file["file_id"] in at_risk
        ]


def declare_absent(services: Services, file_id: str, *, by: str, reason: str, now: datetime) -> dict[str, Any]:
    """Let a person say, after asking the bank, that it has nothing more of a file: the rest of it gets its money back.

    It is for what no inquiry can clear: refused at a later transmission, of an earlier one nobody knows; or passed over
    in silence by a bank that has the rest of the file.

    :raises Refused: name or reason is missing, nothing of the file is unknown, or it was sent so lately that it may
        still arrive.
    """
    if not by.strip() or not reason.strip():
        raise Refused("Whoever speaks for the bank gives a name and a reason: --by NAME --reason TEXT")
    with services.ledger.books(posting=True) as books:
        of_file = books.payouts.in_file(file_id)
        left = [payout for payout in of_file if payout["state"] in NOBODY_KNOWS]
        if not left:
            raise Refused(f"Of file [{file_id}] nothing is unknown: `settlement unknown` lists the files that are")
        sent = books.files.transmissions(file_id)
        if not sent or now - sent[-1]["started_at"] < ASK_AGAIN_AFTER:
            raise Refused(
                f"File [{file_id}] was handed over less than {ASK_AGAIN_AFTER} ago and may still arrive: wait"
            )
        evidence = {"by": by.strip(), "reason": reason.strip()}
        with intake.hearing_answers(services, books, now=now):
            intake.give_back(books, left, "rejected", cause="declared_absent", now=now, evidence=evidence)
        if len(left) == len(of_file):
            books.files.mark(file_id, "rejected", now=now)
    return {"file_id": file_id, "payouts": len(left), "amounts": _amounts(left)}


def _is_to_be_asked_for(file: Mapping[str, Any], transmissions: Sequence[Mapping[str, Any]], *, now: datetime) -> bool:
    if not transmissions:
        return False
    last = transmissions[-1]
    if last["outcome"] is None:
        return bool(now - last["started_at"] >= STILL_TALKING)
    if file["state"] == "received":
        return last["outcome"] == Outcome.RECEIVED and bool(now - last["started_at"] >= ASK_AGAIN_AFTER)
    return file["state"] in ("prepared", "submitted", "unknown")


def _release_stranded(services: Services, books: Books, day: DayRun, *, now: datetime) -> list[dict[str, Any]]:
    """Give back what earlier days prepared and nobody is going to send: the run failed, or nobody decided in time."""
    waited = timedelta(hours=services.policy.approval.timeout_hours)
    stranded = books.payouts.stranded(before=day.settlement_date, prepared_before=now - waited)
    intake.give_back(books, stranded, "rejected", cause="released", now=now, evidence={"run_id": day.run_id})
    for file_id in sorted({payout["file_id"] for payout in stranded if payout["file_id"]}):
        books.files.mark(file_id, "rejected", now=now)
    return stranded


def _proposal(services: Services, books: Books, day: DayRun, *, prepared: Sequence[payouts.Payout]) -> Proposal:
    """Return what would be paid, and everything that is known for or against it."""
    on = day.settlement_date
    wanted = _amounts([{"currency": p.currency, "amount": p.amount} for p in prepared])
    of_day = _amounts([p for p in books.payouts.find(on) if p["state"] not in PROVEN_UNPAID])
    under_way = books.payouts.under_way()
    newest = _newest_statement(services, books)
    proven = {}
    for currency in wanted:
        money = books.journal.balance("client_bank", currency)
        if newest and newest["currency"] == currency:
            money = min(money, newest["closing"])  # where the chain is broken, the lower of the two is what is proven
        if services.policy.gate.needs == "ledger":
            money += books.journal.balance("receipts_in_transit", currency)
        proven[currency] = money - under_way.get(currency, 0)
    return Proposal(
        settlement_date=on,
        wanted=wanted,
        of_day={currency: amount + of_day.get(currency, 0) for currency, amount in wanted.items()},
        proven=proven,
        newest_statement=newest["business_date"] if newest else None,
        breaks=[
            Blocking(
                break_id=found["break_id"],
                cause=found["cause"],
                subject=f"{found['subject_kind']} {found['subject_id']}",
                currency=found["currency"],
                amount=found["amount"],
            )
            for found in books.breaks.open()
            if found["state"] == "open"
        ],
        contradictions=books.payouts.contradictions(sorted({p.investor_id for p in prepared})),
        usual=books.payouts.usual_totals([on - timedelta(weeks=weeks) for weeks in range(1, USUAL_WEEKS + 1)]),
    )


def _newest_statement(services: Services, books: Books) -> dict[str, Any] | None:
    return books.bank_lines.newest_statement(services.debtor.account) if services.debtor else None


def _answer_for(books: Books, day: DayRun, found: Sequence[Objection], *, now: datetime) -> None:
    """Let the objections pass for which somebody answers: by name, with a reason, word for word.

    :raises _Objected: at least one is left.
    """
    answered = {
        (o["control"], o["said"]) for o in books.approvals.objections(day.settlement_date) if o["overridden_by"]
    }
    left = [o for o in found if o.is_final or (o.control, o.said) not in answered]
    run = books.days.run(day.run_id) if left else None
    if run and run["triggered_by"] and (run["reason"] or "").startswith(OVERRIDE) and not any(o.is_final for o in left):
        books.approvals.object_to(day, left, now=now)
        reason = run["reason"].removeprefix(OVERRIDE).strip() or run["reason"]
        books.approvals.override(
            day.settlement_date, said=[o.said for o in left], by=run["triggered_by"], reason=reason, now=now
        )
        return
    if left:
        raise _Objected(left)


@contextmanager
def _keeping_objections(services: Services, day: DayRun, *, now: datetime) -> Iterator[None]:
    """Turn objections into a refusal, once they are on record: the transaction that met them wrote nothing.

    :raises Refused: saying what speaks against paying, and how to go on.
    """
    try:
        yield
    except _Objected as objected:
        with services.ledger.books(day=day) as books:
            books.approvals.object_to(day, objected.objections, now=now)
        said = "; ".join(objection.said for objection in objected.objections)
        way_out = (
            "no one can answer for that"
            if any(objection.is_final for objection in objected.objections)
            else f"or answer for it: settlement gate {day.settlement_date} --override --by NAME --reason TEXT"
        )
        raise Refused(
            f"Nothing is paid for [{day.settlement_date}]: {said}. Mend it and clear the task take_in; {way_out}"
        ) from None


def _write_files(services: Services, day: DayRun, *, now: datetime) -> None:
    debtor = services.debtor
    assert debtor is not None
    with services.ledger.books(day=day, posting=True) as books:
        approved = [p for p in books.payouts.find(day.settlement_date, states=("approved",)) if p["file_id"] is None]
        by_currency: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for payout in sorted(approved, key=lambda p: p["end_to_end_id"]):
            by_currency[payout["currency"]].append(payout)
        for currency, of_currency in sorted(by_currency.items()):
            size = services.policy.payouts[currency].max_per_file
            for start in range(0, len(of_currency), size):
                part = of_currency[start : start + size]
                file = PaymentFile(
                    file_id=payouts.file_id([p["end_to_end_id"] for p in part], settlement_date=day.settlement_date),
                    created_at=now,
                    execution_date=_execution_date(services, day.settlement_date, now),
                    debtor_name=debtor.name,
                    debtor_account=debtor.account,
                    debtor_agent=debtor.agent,
                    currency=currency,
                    payments=tuple(
                        Payment(
                            end_to_end_id=p["end_to_end_id"],
                            amount=p["amount"],
                            creditor_name=p["payee_name"],
                            creditor_account=p["payee_account"],
                            creditor_bank=p["payee_bank"],
                            remittance=p["end_to_end_id"],
                        )
                        for p in part
                    ),
                )
                books.files.keep(day, file.file_id, services.write_file(file), part, now=now)


def _hand_over(services: Services, file_id: str, *, day: DayRun | None, now: datetime) -> tuple[int, bytes] | None:
    """Write that the bank may have the file from here on; None where it is no longer to be sent.

    This is committed before the bank is called, and by a run that still holds its day.
    """
    with services.ledger.books(day=day, posting=True) as books:
        file = books.files.file(file_id)
        of_file = books.payouts.in_file(file_id)
        if file is None or any(p["state"] not in ("approved", "submitted", "unknown") for p in of_file):
            return None
        approved = [p["payout_id"] for p in of_file if p["state"] == "approved"]
        books.payouts.step(approved, "submitted", cause="sent", now=now, evidence={"file_id": file_id})
        number = books.files.open_transmission(file_id, run_id=day.run_id if day else None, now=now)
        if file["state"] == "prepared":
            books.files.mark(file_id, "submitted", now=now)
    return number, bytes(file["content"])


def _keep_answer(services: Services, file_id: str, number: int, answer: Submission, *, now: datetime) -> None:
    """Record what came back and what it proves. What a bank said is kept even if the run was displaced meanwhile."""
    with services.ledger.books(posting=True) as books, intake.hearing_answers(services, books, now=now):
        for message in answer.messages:
            books.bank_lines.keep_message(message, direction="in", now=now)
        books.files.close_transmission(file_id, number, answer, now=now)
        evidence = {"status_code": answer.status_code, "text": answer.text}
        intake.conclude(books, file_id, cause="answer", reason=answer.reason, evidence=evidence, now=now)


def _tell_of_payouts(
    services: Services, books: Books, day: DayRun, of_day: Sequence[Mapping[str, Any]], *, now: datetime
) -> None:
    """Record alerts for the day's unknown and rejected payouts."""
    if not services.alerts:
        return
    unknown = [p for p in of_day if p["state"] == "unknown"]
    if unknown:
        services.alerts.record(
            books.transaction,
            PayoutsUnknown(
                settlement_date=day.settlement_date,
                backfill_id=day.backfill_id,
                count=len(unknown),
                amounts=_money(_amounts(unknown)),
                inquiry_at=now + timedelta(minutes=15),
            ),
            now=now,
        )
    for code in sorted({p["bank_reason"] for p in of_day if p["state"] == "rejected" and p["bank_reason"]}):
        rejected = [p for p in of_day if p["state"] == "rejected" and p["bank_reason"] == code]
        services.alerts.record(
            books.transaction,
            PayoutsRejected(
                settlement_date=day.settlement_date,
                backfill_id=day.backfill_id,
                code=code,
                count=len(rejected),
                amounts=_money(_amounts(rejected)),
            ),
            now=now,
        )


def _execution_date(services: Services, on: date, now: datetime) -> date:
    """The next business day after the settlement date, or today if that is later."""
    return max(services.calendar.calendar.next_business_day(on), services.calendar.local_date(now))


def _next_day_at(services: Services, on: date, clock: str) -> datetime:
    zone = ZoneInfo(services.policy.timezone)
    return datetime.combine(on + timedelta(days=1), time.fromisoformat(clock), tzinfo=zone)


def _approval_id(day: DayRun, waiting: Sequence[Mapping[str, Any]]) -> str:
    return f"{day.settlement_date:%Y%m%d}-{_hash(waiting)[:16]}"


def _hash(waiting: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of exactly these payouts: ids, amounts and where the money goes."""
    said = "\n".join(
        f"{p['payout_id']}\t{p['currency']}\t{p['amount']}\t{p['payee_account']}\t{p['payee_bank'] or ''}"
        for p in sorted(waiting, key=lambda p: p["payout_id"])
    )
    return hashlib.sha256(said.encode()).hexdigest()


def _amounts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row["currency"]] += row["amount"]
    return dict(sorted(sums.items()))


def _money(amounts: Mapping[str, int]) -> tuple[Money, ...]:
    return tuple(Money(amount=amount, currency=currency) for currency, amount in sorted(amounts.items()))
