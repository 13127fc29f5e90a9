"""Reconciliation between the daily runs: what the bank says, as it says it."""

from datetime import date, datetime
from typing import Any

from settlement.ports.services import Services
from settlement.stages import inquire, match, prove, take_in


def take_in_everything(services: Services, *, as_of: date | None = None, now: datetime) -> dict[str, Any]:
    """Do everything that reconciliation does between the daily runs: take in, ask after the unknown, match, prove."""
    counts = take_in.take_in(services, now=now) | match.match(services, now=now)
    inquiries = inquire.inquire(services, now=now)
    if inquiries:
        take_in.take_in(services, now=now)
        match.match(services, now=now)
    on = as_of or services.calendar.newest_settleable(now) or services.calendar.local_date(now)
    proof = prove.prove_or_refuse(services, as_of=on, now=now)
    return {"taken_in": counts, "inquiries": inquiries} | proof
