"""What became known of payouts and of their files, applied to them: their states, their money, their payees.

Every way in which something becomes known (an answer, a return, a line, a person's word) ends here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import compress
from typing import Any

import pandas as pd

from settlement.domain.payments import files
from settlement.domain.payments.files import FileState
from settlement.domain.payments.payouts import PERMANENT_REASONS
from settlement.domain.payments.state import AT_BANK, PayoutState
from settlement.ports.books import Books
from settlement.ports.services import Services
from settlement.stages import notify


def set_file_status(
    books: Books, file_id: str, *, cause: str, reason: str | None, evidence: Mapping[str, Any], now: datetime
) -> None:
    """Set a file's status, and its payouts', from all its transmissions and reports."""
    file = books.files.file(file_id)
    if file is None:
        return
    state = files.file_status(
        [transmission.outcome for transmission in books.files.transmissions(file_id)],
        rejections=len(file.rejections),
        duplicates=len(file.duplicates),
        is_spoken_of=file.state is FileState.RECEIVED,
    )
    of_file = books.payouts.in_file(file_id)
    if state is FileState.REJECTED:
        # The reason is about the file, not about anybody's account: none is held for it.
        give_back(
            books,
            of_file[of_file["state"].isin(AT_BANK)],
            PayoutState.REJECTED,
            cause=f"file_{cause}",
            now=now,
            evidence={"bank_reason": reason, **evidence},
        )
    elif state is FileState.UNKNOWN:
        unheard = of_file.loc[of_file["state"] == PayoutState.SUBMITTED, "payout_id"].tolist()
        books.payouts.step(unheard, PayoutState.UNKNOWN, cause=f"file_{cause}", now=now, evidence=evidence)
    books.files.mark(file_id, state, now=now)


def give_back(
    books: Books,
    payouts: pd.DataFrame,
    state: PayoutState,
    *,
    cause: str,
    reasons: Sequence[str | None] = (),
    now: datetime,
    evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> None:
    """Let payouts (frame `PAYOUTS`) end as rejected or returned: their money goes back to the balances.

    `reasons` are the bank's, one for each payout, where it gave one about the payment itself: an account that it
    refuses for good is remembered. `evidence` is one for all, or one for each. What is in that state already stays.
    """
    each = [evidence] * len(payouts) if isinstance(evidence, Mapping) else evidence
    given = pd.Series(list(reasons) or [None] * len(payouts), index=payouts.index, dtype=object)
    said = [dict(one) if why is None else {**one, "bank_reason": why} for one, why in zip(each, given, strict=True)]
    is_moving = (payouts["state"] != state).to_numpy()
    moving = payouts[is_moving]
    books.payouts.step(
        moving["payout_id"].tolist(), state, cause=cause, now=now, evidence=list(compress(said, is_moving))
    )
    for on in sorted(set(moving["settlement_date"])):
        of_day = moving[moving["settlement_date"] == on]
        books.payouts.credit_back(of_day, state=state, settlement_date=on.date(), now=now)
    permanent = given[is_moving][given[is_moving].isin(PERMANENT_REASONS)]
    if len(permanent):
        refused = dict(zip(moving.loc[permanent.index, "payout_id"], permanent, strict=True))
        books.payouts.refuse_accounts(refused, now=now)


@contextmanager
def notifying_of_answers(services: Services, books: Books, *, now: datetime) -> Iterator[None]:
    """Do what may answer for unknown payouts; where it does for the last one of a date, people hear that it is over."""
    before = books.payouts.unknown_dates()
    yield
    for on in sorted(before - books.payouts.unknown_dates()) if before else ():
        notify.payouts_answered(books, on, now=now)
