"""Paying what the ledger owes: take in, prepare, approve, submit, hear the answers. Each step commits before the next.

A payout is written and committed before the bank is called, goes out under one id for life, and after an answer that
did not arrive it is asked for, never sent again under another id.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from settlement.domain import controls, payouts
from settlement.domain.alerts import ApprovalDone, ApprovalNeeded, Money, PayoutsRejected, PayoutsUnknown
from settlement.domain.messages import Outcome, Payment, PaymentFile, Submission
from settlement.ports import Books, DayRun, NotYet, Refused, Services, Unavailable
from settlement.stages import intake


def is_paying(day: DayRun) -> bool:
    """Tell whether the run may move money: not on a dry run, and not when it was asked to compute and book only."""
    return day.transfer and not day.dry_run


def take_in(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take in what the bank sent and prove that the gate may open: the statement that the policy asks for is there.

    :raises NotYet: the statement has not come; it is waited for until the policy's `gate.wait_until`.
    :raises Refused: it has not come in time.
    """
    if not is_paying(day):
        return {"skipped": "no transfer"}
    intake.require_bank(services)
    counts = intake.take_in(services, now=now)
    if services.policy.gate.needs == "ledger":
        return counts
    assert services.debtor is not None
    with services.ledger.books(day=day, read_only=True) as books:
        newest = books.newest_statement(services.debtor.account)
    if newest is None or newest["business_date"] < day.settlement_date:
        until = _next_day_at(services, day.settlement_date, services.policy.gate.wait_until)
        have = f"the newest is of [{newest['business_date']}]" if newest else "none has come so far"
        message = f"The bank's statement of [{day.settlement_date}] has not come ({have})"
        if now < until and not services.is_now_set:
            raise NotYet(f"{message}; it is waited for until [{until.isoformat()}]", until=until)
        raise Refused(
            f"{message} by [{until.isoformat()}], so nothing is paid: ask the bank for it, then clear the task take_in."
            ' A policy with gate.needs = "ledger" pays without it'
        )
    return counts | {"statement": newest["statement_id"]}


def prepare(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Write the payouts of everything the ledger owes and may pay now, with their entries, and say what is held.

    :raises Refused: the money that the books prove does not cover them; none is prepared.
    """
    if not is_paying(day):
        return {"skipped": "no transfer"}
    assert services.debtor is not None
    with services.ledger.books(day=day, posting=True) as books:
        balances = books.payables()
        prepared, holds = payouts.from_balances(
            balances,
            payees=services.core.payees(sorted({owed.investor_id for owed in balances})),
            policy=services.policy,
            channels={services.debtor.currency},
            refused=books.refused_accounts(),
            used_chunks=books.next_chunks(day),
            settlement_date=day.settlement_date,
            revision=day.revision,
        )
        _check_means(services, books, prepared, on=day.settlement_date)
        books.prepare(day, prepared, holds, now=now)
        waiting = books.payouts(day.settlement_date, states=("prepared",))
        if waiting:
            books.set_state(day.settlement_date, "paying", now=now)
    return {
        "payouts": len(waiting),
        "amounts": _amounts(waiting),
        "held": len(holds),
        "held_amounts": _amounts([{"currency": hold.currency, "amount": hold.amount} for hold in holds]),
    }


def approval(services: Services, day: DayRun, *, triggered_by: str | None = None, now: datetime) -> dict[str, Any]:
    """Return the question that a second person must answer, or `needed` false and approve what is within the limit.

    The question binds to the hash of exactly these payouts; when anything in them changes it is another question.
    """
    if not is_paying(day):
        return {"needed": False, "skipped": "no transfer"}
    with services.ledger.books(day=day, posting=True) as books:
        waiting = books.payouts(day.settlement_date, states=("prepared",))
        limits = services.policy.approval.limit
        of_day = [p for p in books.payouts(day.settlement_date) if p["state"] not in ("rejected", "returned")]
        above = {c: a for c, a in _amounts(of_day).items() if c in limits and a > limits[c]}
        if not waiting or not above:
            books.step([p["payout_id"] for p in waiting], "approved", cause="within_the_limit", now=now)
            return {"needed": False, "payouts": len(waiting)}
        sha256 = _hash(waiting)
        question = {
            "needed": True,
            "approval_id": f"{day.settlement_date:%Y%m%d}-{sha256[:16]}",
            "payouts_sha256": sha256,
            "count": len(waiting),
            "amounts": _amounts(waiting),
            "limits": {currency: limits[currency] for currency in above},
            "approvers": [name for name in services.policy.approval.approvers if name != triggered_by],
            "expires_at": (now + timedelta(hours=services.policy.approval.timeout_hours)).isoformat(),
        }
        books.request_approval(day, question, now=now)
        answered = books.approval(question["approval_id"])
        if answered is not None and answered["decision"] == "approved":
            books.step([p["payout_id"] for p in waiting], "approved", cause="approved_before", now=now)
            return {"needed": False, "payouts": len(waiting), "approved_by": answered["decided_by"]}
        books.set_state(day.settlement_date, "awaiting_approval", now=now)
        if services.alerts:
            services.alerts.record(
                books.transaction,
                ApprovalNeeded(
                    settlement_date=day.settlement_date,
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

    :raises Refused: the payouts are not the ones that the question was about; it must be asked again.
    """
    with services.ledger.books(day=day, posting=True) as books:
        waiting = books.payouts(day.settlement_date, states=("prepared",))
        if not waiting:
            return {"approved": approved, "payouts": 0}
        sha256 = _hash(waiting)
        approval_id = f"{day.settlement_date:%Y%m%d}-{sha256[:16]}"
        if books.approval(approval_id) is None:
            raise Refused(
                f"The payouts of [{day.settlement_date}] changed after they were put to a second person: clear the task"
                " approve, so that exactly these are asked for"
            )
        decision = "approved" if approved else "expired" if by == "timeout" else "rejected"
        books.decide_approval(approval_id, decision=decision, by=by, reason=reason, now=now)
        ids = [payout["payout_id"] for payout in waiting]
        if approved:
            books.step(ids, "approved", cause="approved", now=now, evidence={"by": by, "approval_id": approval_id})
        else:
            books.step(
                ids, "rejected", cause=f"approval_{decision}", now=now, evidence={"by": by, "approval_id": approval_id}
            )
            books.credit_back(waiting, event="payout_rejected", settlement_date=day.settlement_date, now=now)
        books.set_state(day.settlement_date, "paying", now=now)
        if services.alerts:
            services.alerts.record(
                books.transaction,
                ApprovalDone(settlement_date=day.settlement_date, batch=approval_id, approved=approved, by=by, at=now),
                now=now,
            )
    return {"approved": approved, "payouts": len(waiting), "by": by}


def submit(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Hand the approved payouts to the bank: files written and committed first, then sent, then the answer kept.

    :raises Unavailable: a file is proven not to have left; trying again sends the same bytes under the same id.
    """
    if not is_paying(day):
        return {"skipped": "no transfer"}
    _write_files(services, day, now=now)
    with services.ledger.books(day=day, read_only=True) as books:
        files = books.files(day.settlement_date, states=("prepared", "submitted", "unknown"))
    return {"files": len(files)} | send(services, files, day=day, now=now)


def send(
    services: Services, files: Sequence[Mapping[str, Any]], *, day: DayRun | None, now: datetime
) -> dict[str, Any]:
    """Send files, or send them again under the same id, and keep what each answer proves.

    Every file is tried before an error is raised, so one that cannot leave does not keep the others back.

    :raises Unavailable: at least one file is proven not to have left.
    """
    assert services.bank is not None
    outcomes: dict[str, int] = defaultdict(int)
    not_sent: list[str] = []
    for file in files:
        with services.ledger.books(day=day, posting=True) as books:
            # From here on the bank may have it: this is committed before the bank is called.
            waiting = [p["payout_id"] for p in books.payouts_in_file(file["file_id"]) if p["state"] == "approved"]
            books.step(waiting, "submitted", cause="sent", now=now, evidence={"file_id": file["file_id"]})
            books.mark_file(file["file_id"], "submitted" if file["state"] == "prepared" else file["state"], now=now)
        answer = services.bank.submit(file["file_id"], bytes(file["content"]))
        with services.ledger.books(day=day, posting=True) as books:
            _keep_answer(services, books, file, answer, now=now)
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
        silent = books.payouts(day.settlement_date, states=("submitted",))
        books.step([p["payout_id"] for p in silent], "unknown", cause="no_answer", now=now)
        of_day = books.payouts(day.settlement_date)
        tell_of_payouts(services, books, day.settlement_date, of_day, now=now)
    return {
        "payouts": {
            state: _amounts([p for p in of_day if p["state"] == state])
            for state in sorted({p["state"] for p in of_day})
        }
    }


def inquire(services: Services, *, now: datetime) -> dict[str, Any]:
    """Ask again for every unknown file: what the bank sent first, then the same bytes under the same id.

    Only proof moves a payout: a status, a statement line, or the bank's taking the file now, which shows that it did
    not have it.
    """
    if services.bank is None:
        return {}
    with services.ledger.books(read_only=True) as books:
        unknown = {p["file_id"] for p in books.payouts(states=("unknown", "submitted")) if p["file_id"]}
        files = [file for file in books.files() if file["file_id"] in unknown]
    return send(services, files, day=None, now=now) if files else {}


def _write_files(services: Services, day: DayRun, *, now: datetime) -> None:
    debtor = services.debtor
    assert debtor is not None
    with services.ledger.books(day=day, posting=True) as books:
        approved = [p for p in books.payouts(day.settlement_date, states=("approved",)) if p["file_id"] is None]
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
                books.keep_file(day, file.file_id, services.write_file(file), part, now=now)


def _keep_answer(
    services: Services, books: Books, file: Mapping[str, Any], answer: Submission, *, now: datetime
) -> None:
    """Record what the answer proves. A refusal proves something of the payouts only if no earlier sending is open."""
    for message in answer.messages:
        books.keep_message(message, direction="in", now=now)
    evidence = {"status_code": answer.status_code, "text": answer.text, "bank_reason": answer.reason}
    of_file = books.payouts_in_file(file["file_id"])
    if answer.outcome in (Outcome.RECEIVED, Outcome.DUPLICATE):
        books.mark_file(file["file_id"], "received", now=now)
    elif answer.outcome is Outcome.REFUSED and file["state"] == "prepared":
        rejected = [p for p in of_file if p["state"] == "submitted"]
        books.step([p["payout_id"] for p in rejected], "rejected", cause="file_refused", now=now, evidence=evidence)
        for on in sorted({p["settlement_date"] for p in rejected}):
            books.credit_back(
                [p for p in rejected if p["settlement_date"] == on],
                event="payout_rejected",
                settlement_date=on,
                now=now,
            )
        books.mark_file(file["file_id"], "rejected", now=now)
    elif answer.outcome is Outcome.NOT_SENT and file["state"] == "prepared":
        books.mark_file(file["file_id"], "prepared", now=now)
    else:
        unknown = [p["payout_id"] for p in of_file if p["state"] == "submitted"]
        books.step(
            unknown,
            "unknown",
            cause="no_answer",
            now=now,
            evidence={k: v for k, v in evidence.items() if k != "bank_reason"},
        )
        books.mark_file(file["file_id"], "unknown", now=now)


def tell_of_payouts(
    services: Services, books: Books, on: date, of_day: Sequence[Mapping[str, Any]], *, now: datetime
) -> None:
    """Record alerts for the day's unknown and rejected payouts."""
    if not services.alerts:
        return
    unknown = [p for p in of_day if p["state"] == "unknown"]
    if unknown:
        services.alerts.record(
            books.transaction,
            PayoutsUnknown(
                settlement_date=on,
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
            PayoutsRejected(settlement_date=on, code=code, count=len(rejected), amounts=_money(_amounts(rejected))),
            now=now,
        )


def _check_means(services: Services, books: Books, prepared: Sequence[payouts.Payout], *, on: date) -> None:
    """Prove that no investor is paid from another's money (rules, section 7)."""
    wanted = _amounts([{"currency": p.currency, "amount": p.amount} for p in prepared])
    proven = {}
    for currency in wanted:
        money = books.balance("client_bank", currency)
        if services.policy.gate.needs == "ledger":
            money += books.balance("receipts_in_transit", currency)
        proven[currency] = money + min(0, books.balance("payouts_in_transit", currency))
    missing = controls.payouts_within_means(wanted, proven=proven)
    if missing:
        said = "; ".join(
            f"{currency}: payouts of [{wanted[currency]}] against proven money of [{proven[currency]}], [{amount}] is missing"
            for currency, amount in missing.items()
        )
        raise Refused(
            f"Nothing is paid for [{on}], because one investor's shortfall is never paid from another's money: {said}."
            " Look at the open breaks and the bank's statement, then clear the task take_in"
        )


def _execution_date(services: Services, on: date, now: datetime) -> date:
    """The next business day after the settlement date, or today if that is later."""
    return max(services.calendar.calendar.next_business_day(on), services.calendar.local_date(now))


def _next_day_at(services: Services, on: date, clock: str) -> datetime:
    zone = ZoneInfo(services.policy.timezone)
    return datetime.combine(on + timedelta(days=1), time.fromisoformat(clock), tzinfo=zone)


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
