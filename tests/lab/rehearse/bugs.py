"""Bugs to be planted, each where a careless change would put it. Each runs in the processes of a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd
from settlement.adapters.ledger import unit_of_work
from settlement.adapters.ledger.days.repository import Days
from settlement.domain.bank.messages import SubmissionOutcome
from settlement.domain.payments import evidence
from settlement.domain.payments.state import PayoutState
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import submit
from settlement_lab.rehearse import worker


def write_after_send(orders: Connection, environment: dict[str, str], log: Path) -> None:
    """The bank is called first, and that it was called is written afterwards."""

    def send(
        services: Services,
        file_ids: Sequence[str],
        *,
        day: DayRun | None,
        is_to_go: submit.IsToGo | None = None,
        now: datetime,
    ) -> dict[str, Any]:
        assert services.bank is not None
        for file_id in file_ids:
            with services.ledger.books(read_only=True) as books:
                content = books.files.content(file_id)
            answer = services.bank.submit(file_id, content)
            if answer.outcome is not SubmissionOutcome.UNKNOWN:
                handed_over = submit._hand_over(services, file_id, day=day, is_to_go=is_to_go, now=now)
                if handed_over is not None:
                    submit._keep_answer(services, file_id, handed_over[0], answer, now=now)
        return {}

    submit.send = send
    worker.serve(orders, environment, log)


def a_new_id_on_retry(orders: Connection, environment: dict[str, str], log: Path) -> None:
    """What was sent before is sent again under new ids, because the bank said that the old ones are duplicates."""
    hand_over = submit._hand_over

    def again(*arguments: Any, **options: Any) -> tuple[int, bytes] | None:
        handed_over = hand_over(*arguments, **options)
        if handed_over is None or handed_over[0] == 1:
            return handed_over
        number, content = handed_over
        return number, content.replace(b">SF2", b">S%d2" % number).replace(b">ST2", b">S%d2" % number)

    submit._hand_over = again
    worker.serve(orders, environment, log)


def no_lock(orders: Connection, environment: dict[str, str], log: Path) -> None:
    """Nobody waits for anybody, and nobody looks whether the day is still his."""

    def no_wait(*_arguments: Any, **_options: Any) -> None:
        return None

    unit_of_work._lock = no_wait
    Days.hold_fence = no_wait  # type: ignore[method-assign]  # the bug that is planted
    worker.serve(orders, environment, log)


def a_forgotten_return(orders: Connection, environment: dict[str, str], log: Path) -> None:
    """A payout that comes back is a line on the statement and nothing else."""
    states = evidence.states

    def forget(known: pd.DataFrame) -> pd.Series[str]:
        proven = states(known)
        return proven.where(proven != PayoutState.RETURNED, known["state"])

    evidence.states = forget
    worker.serve(orders, environment, log)


PLANTED = {
    "write after send": write_after_send,
    "a new id on retry": a_new_id_on_retry,
    "no lock": no_lock,
    "a forgotten return": a_forgotten_return,
}
