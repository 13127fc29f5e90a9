"""Calendar: months as a heat map, each date with what became of it."""

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from settlement.domain.days import DayState
from settlement.pages.query import Row
from settlement.pages.screen import Screen, Shown

router = APIRouter()
MONTHS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """One date of the calendar: `kind` is a word of the catalogue's part `squares`."""

    on: date
    kind: str
    why: str = ""
    day: Row | None = None
    is_late: bool = False


@router.get("/calendar")
def months(shown: Shown, until: str = "") -> Response:
    """Show six months, the last of which is the one that is asked for, or that of the newest date."""
    with shown.reading() as query:
        newest = query.row("newest_day")
        last = _month(until) or (newest["settlement_date"] if newest else shown.house.calendar.local_date(shown.now))
        first = _back(last.replace(day=1), MONTHS - 1)
        end = last.replace(day=calendar.monthrange(last.year, last.month)[1])
        days = {row["settlement_date"]: row for row in query.rows("days", first=first, last=end)}
    due = shown.house.calendar.newest_due(shown.now)
    shown_months: list[dict[str, Any]] = []
    month = first
    while month <= end:
        weeks = [
            [square(shown, on, days.get(on), due=due) if on.month == month.month else None for on in week]
            for week in calendar.Calendar().monthdatescalendar(month.year, month.month)
        ]
        closed = [
            on for on, row in days.items() if row["closed_at"] and (on.year, on.month) == (month.year, month.month)
        ]
        shown_months.append({"first": month, "last": max(closed, default=None), "weeks": weeks})
        month = _back(month, -1)
    return shown.show(
        "months",
        months=shown_months,
        earlier=_back(last.replace(day=1), MONTHS),
        later=_back(last.replace(day=1), -MONTHS),
    )


def square(shown: Screen, on: date, day: Row | None, *, due: date | None) -> Square:
    """Return what became of a date."""
    house = shown.house
    if day is not None:
        return Square(on=on, kind=_kind(day), day=day, is_late=is_late(shown, day))
    if not house.calendar.calendar.is_business_day(on):
        why = holiday(shown, on)
        return Square(on=on, kind="weekend" if on.weekday() >= 5 and not why else "holiday", why=why)
    if not house.calendar.is_within(on):
        return Square(on=on, kind="outside")
    is_missing = due is not None and on <= due
    return Square(
        on=on, kind="not_run" if is_missing else "to_come", is_late=is_missing and shown.now > house.deadline.of(on)
    )


def is_late(shown: Screen, day: Row) -> bool:
    """Tell whether a date was settled after its deadline, or is not yet and it has passed."""
    return (day["settled_at"] or shown.now) > shown.house.deadline.of(day["settlement_date"])


def _kind(day: Row) -> str:
    state = DayState(day["state"])
    if state is DayState.FAILED:
        return "failed"
    if not state.is_settled:
        return "runs"
    return "breaks" if day["open_breaks"] or state is DayState.SETTLED_WITH_BREAKS else "clean"


def holiday(shown: Screen, on: date) -> str:
    """Return the name of the holiday that closes a date, in the language of the pages; empty where none does."""
    return shown.house.calendar.calendar.holiday(on, language=shown.words.language) or ""


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01") if text else None
    except ValueError:
        raise HTTPException(404) from None


def _back(first: date, count: int) -> date:
    """Return the first day of the month so many before that of `first`."""
    months_before = first.year * 12 + first.month - 1 - count
    return date(months_before // 12, months_before % 12 + 1, 1)
