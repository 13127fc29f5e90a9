"""Which dates are settled, and when: bank business days, their windows, and the refusals that name the right date.

A *settlement date* is a business day of the policy's calendar: no weekend, no holiday, unless an override of the policy
says otherwise. Its window runs from the cut-off of the business day before it to its own cut-off, so the windows of
consecutive settlement dates touch and every instant belongs to exactly one of them.

A cut-off of "24:00" is the end of the date. Cut-offs are wall-clock times in the policy's zone, turned into UTC by the
zone's own rules: a wall-clock time that daylight saving skips or repeats is taken as the clock stood before the change.

The scheduler imports this module, so it loads nothing heavy; even `holidays` (0.7 s with one country) is imported only
when the first date is asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from settlement.domain.errors import NotASettlementDate

ONE_DAY = timedelta(days=1)
SMALLEST_STEP = timedelta(microseconds=1)
LARGEST_CATCH_UP = 400
LONGEST_LOOK_BACK = 36_500


class DayState(StrEnum):
    """Where a settlement date stands. The ledger keeps the same words."""

    OPEN = "open"
    """A run has taken it on; nothing is computed."""
    COMPUTED = "computed"
    """Its outcome is posted."""
    AWAITING_APPROVAL = "awaiting_approval"
    """A second person is asked about its payouts."""
    PAYING = "paying"
    """Its payouts are prepared, and on their way."""
    SETTLED = "settled"
    """Everything that it can pay was handed to the bank."""
    SETTLED_WITH_BREAKS = "settled_with_breaks"
    """The same, and something does not agree, or is unknown."""
    CLOSED = "closed"
    """Its payouts are final, its money is on a statement, and it has a certificate."""
    FAILED = "failed"
    """Its run ended badly; what it did is kept, and the next run goes on from there."""

    @property
    def is_settled(self) -> bool:
        """Whether the day's own work is done."""
        return self in SETTLED


SETTLED = (DayState.SETTLED, DayState.SETTLED_WITH_BREAKS, DayState.CLOSED)
"""The states of a day whose own work is done."""


class Override(NamedTuple):
    """A date that the policy opens or closes against the calendar, why, and who said so."""

    date: date
    business: bool
    reason: str = ""
    by: str = ""


class Window(NamedTuple):
    """The instants (UTC) whose money belongs to one settlement date."""

    from_at: datetime
    until_at_exclusive: datetime


@dataclass(frozen=True, slots=True)
class BankCalendar:
    """The business days of one country or one payment system, as the `holidays` package and the policy know them.

    `country` is a country of `holidays` ("KR") or one of its markets ("ECB" for the days of the euro's TARGET system);
    `categories` are the kinds of holidays on which the banks are closed.
    """

    country: str
    categories: tuple[str, ...] = ("public",)
    overrides: tuple[Override, ...] = ()

    def check(self) -> None:
        """Prove that the country and its categories are known.

        Raises ValueError: naming the key, the value and, of categories, which there are.
        """
        _holidays(self.country, self.categories)

    @lru_cache(maxsize=4096)  # noqa: B019 - calendars are few, and each payout of a day asks for the same dates
    def is_business_day(self, on: date) -> bool:
        """Say whether the banks work on this date."""
        override = self._override(on)
        return override.business if override else bool(_holidays(self.country, self.categories).is_working_day(on))

    def why_closed(self, on: date) -> str | None:
        """Name what closes this date (an override, a holiday, the weekend), or return None on a business day."""
        if override := self._override(on):
            return None if override.business else f"the policy closes it ({override.reason or 'no reason given'})"
        known = _holidays(self.country, self.categories)
        if known.is_working_day(on):
            return None
        name = known.get(on)
        return f"it is a bank holiday ({name})" if name else f"it is a {on:%A}"

    def holiday(self, on: date, *, language: str) -> str | None:
        """Name the holiday that closes a date, or the policy's reason; None on business days and plain weekends.

        In this language ("ko", "en"), or as `why_closed` does where the package does not have it.
        """
        if override := self._override(on):
            return None if override.business else override.reason
        known = _holidays(self.country, self.categories, {"en": "en_US"}.get(language, language))
        return None if known.is_working_day(on) else known.get(on)

    def next_business_day(self, on: date) -> date:
        """Return the first business day after this date."""
        return next(day for day in _dates(on, ONE_DAY) if self.is_business_day(day))

    def previous_business_day(self, on: date) -> date:
        """Return the last business day before this date."""
        return next(day for day in _dates(on, -ONE_DAY) if self.is_business_day(day))

    def days_between(self, first: date, last: date) -> list[date]:
        """Return the business days from `first` to `last`, both included, in order."""
        return [
            day
            for day in (first + timedelta(days=count) for count in range((last - first).days + 1))
            if self.is_business_day(day)
        ]

    def _override(self, on: date) -> Override | None:
        return next((override for override in self.overrides if override.date == on), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementCalendar:
    """The settlement dates of a policy, their windows and the times of their runs."""

    calendar: BankCalendar
    timezone: str
    cut_off: str = "24:00"
    run_at: str = "06:00"
    catch_up: int = 10
    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"timezone [{self.timezone}] is not a zone of the IANA database") from unknown
        _time_of_day("cut_off", self.cut_off)
        if _time_of_day("run_at", self.run_at) == ONE_DAY:
            raise ValueError(f"run_at [{self.run_at}] must lie before 24:00")
        if not 1 <= self.catch_up <= LARGEST_CATCH_UP:
            raise ValueError(f"schedule.catch_up [{self.catch_up}] is no number of dates from 1 to {LARGEST_CATCH_UP}")
        if self.first and self.last and self.last < self.first:
            raise ValueError(f"last_settlement_date [{self.last}] lies before first_settlement_date [{self.first}]")

    def window(self, on: date) -> Window:
        """Return the window of a business day: from the cut-off of the one before it to its own."""
        return Window(self._cut_off_at(self.calendar.previous_business_day(on)), self._cut_off_at(on))

    def settlement_date_of(self, instant: datetime) -> date:
        """Return the business day in whose window this instant lies."""
        on = self._next_cut_off(instant)
        return on if self.calendar.is_business_day(on) else self.calendar.next_business_day(on)

    def settlement_date_of_window(self, until_at_exclusive: datetime) -> date:
        """Return the date whose window ends at this instant, even where it is a business day no longer."""
        return self._next_cut_off(until_at_exclusive - SMALLEST_STEP)

    def run_after(self, on: date) -> datetime:
        """Return when the scheduled run of this date starts: `run_at` on the calendar day after it, in UTC."""
        return self._instant(on + ONE_DAY, _time_of_day("run_at", self.run_at))

    def newest_due(self, now: datetime) -> date | None:
        """Return the newest settlement date whose scheduled run should have started, or None before the first."""
        newest = self.newest_until(self.local_date(now))
        while newest and self.run_after(newest) > now:
            newest = self.newest_until(self.calendar.previous_business_day(newest))
        return newest

    def oldest_caught_up(self, now: datetime) -> date | None:
        """Return the oldest of the `catch_up` newest dates that are due, or None before the first."""
        oldest = self.newest_due(now)
        for _ in range(self.catch_up - 1):
            if oldest:
                oldest = self.newest_until(self.calendar.previous_business_day(oldest)) or self.first
        return oldest

    def newest_settleable(self, now: datetime) -> date | None:
        """Return the newest settlement date whose cut-off has passed, or None before the first."""
        today = self.local_date(now)
        passed = today if self._cut_off_at(today) <= now else today - ONE_DAY
        return self.newest_until(passed)

    def newest_until(self, on: date) -> date | None:
        """Return the newest settlement date that is not after this date, or None if the policy has none."""
        latest = min(on, self.last) if self.last else on
        newest = latest if self.calendar.is_business_day(latest) else self.calendar.previous_business_day(latest)
        return newest if self.is_within(newest) else None

    def oldest_from(self, on: date) -> date | None:
        """Return the oldest settlement date that is not before this date, or None if the policy has none."""
        earliest = max(on, self.first) if self.first else on
        oldest = earliest if self.calendar.is_business_day(earliest) else self.calendar.next_business_day(earliest)
        return oldest if self.is_within(oldest) else None

    def days_between(self, first: date, last: date) -> list[date]:
        """Return the settlement dates from `first` to `last`, both included, in order."""
        return [day for day in self.calendar.days_between(first, last) if self.is_within(day)]

    def is_within(self, on: date) -> bool:
        """Say whether the date lies between the policy's first and last settlement dates."""
        return (self.first is None or self.first <= on) and (self.last is None or on <= self.last)

    def check(self, on: date, *, now: datetime) -> None:
        """Raise `NotASettlementDate` unless this date is a settlement date whose cut-off has passed."""
        why = self._why_not(on, now)
        if why is None:
            return
        newest = self.newest_settleable(now)
        neighbours = (self.newest_until(on), self.oldest_from(on))
        nearest = tuple(day for day in neighbours if day and newest and day <= newest)
        if newest and not nearest:
            nearest = (newest,)
        raise NotASettlementDate(on, why, nearest, otherwise=self._first_ever(now))

    def local_date(self, instant: datetime) -> date:
        """Return the date that the policy's zone shows at this instant."""
        return instant.astimezone(ZoneInfo(self.timezone)).date()

    def start_of(self, on: date) -> datetime:
        """Return when a date begins in the policy's zone, in UTC."""
        return self._instant(on, timedelta())

    def date_named_by(self, instant: datetime) -> date:
        """Return the date that a person means by an instant given to Airflow: midnight UTC, which is what a date
        without a time becomes there, names that date in every zone; any other instant names its date in the policy's.
        """
        in_utc = instant.astimezone(UTC)
        return in_utc.date() if in_utc.time() == time() else self.local_date(instant)

    def _why_not(self, on: date, now: datetime) -> str | None:
        if closed := self.calendar.why_closed(on):
            return closed
        if self.first and on < self.first:
            return f"the policy's first settlement date is [{self.first}]"
        if self.last and on > self.last:
            return f"the policy's last settlement date is [{self.last}]"
        if on > (today := self.local_date(now)):
            return f"it lies in the future, today is [{today}] in {self.timezone}"
        if now < self._cut_off_at(on):
            return f"money for it may still arrive until its cut-off at {self.cut_off} {self.timezone}"
        return None

    def _first_ever(self, now: datetime) -> str:
        """Say which date will be the first that can be settled, for an answer given before any can."""
        coming = self.oldest_from(self.local_date(now))
        if coming is None:
            return "The policy has no settlement date that could be settled."
        return f"No date can be settled yet; the first will be [{coming}], after its cut-off at {self.cut_off}."

    def _next_cut_off(self, instant: datetime) -> date:
        """Return the date, business day or not, whose cut-off is the first after this instant."""
        on = self.local_date(instant)
        return on if instant < self._cut_off_at(on) else on + ONE_DAY

    def _cut_off_at(self, on: date) -> datetime:
        return self._instant(on, _time_of_day("cut_off", self.cut_off))

    def _instant(self, on: date, time_of_day: timedelta) -> datetime:
        wall_clock = datetime.combine(on, time()) + time_of_day
        return wall_clock.replace(tzinfo=ZoneInfo(self.timezone)).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBack:
    """How far back the source is compared with what was taken of it: so many days before the newest settled date.

    A date before it is not run again once it is settled, and what still comes for it is not taken.
    """

    days: int
    newest: date | None

    def reaches(self, on: date) -> bool:
        """Tell whether a settlement date is looked at; before the first one is settled each of them is."""
        return self.newest is None or on >= self.newest - timedelta(days=self.days)


class Windows:
    """In whose window money lies: settled dates keep the window that they had, whatever the calendar says later."""

    def __init__(self, calendar: SettlementCalendar, kept: Mapping[date, Window]) -> None:
        self.calendar = calendar
        self.kept = kept
        self._ordered = sorted(
            (window, on) for on, window in kept.items() if window.from_at < window.until_at_exclusive
        )
        self._begins = [window.from_at for window, _ in self._ordered]

    def date_of(self, instant: datetime) -> date:
        """Return the settlement date in whose window this instant lies."""
        if holder := self._holder(instant):
            return holder[1]
        return self.calendar.settlement_date_of(instant)

    def of(self, on: date) -> Window:
        """Return the window that a date has kept, or else what no other date has of the one that the calendar gives it.

        It may be empty: a date that was opened after the next one was settled has no money of its own.
        """
        if on in self.kept:
            return self.kept[on]
        from_at, until = self.calendar.window(on)
        while from_at < until and (holder := self._holder(until - SMALLEST_STEP)):
            until = holder[0].from_at
        earlier = [window.until_at_exclusive for window, _ in self._ordered if window.until_at_exclusive <= until]
        return Window(min(max([from_at, *earlier[-1:]]), until), until)

    def pieces(self, dates: Sequence[date]) -> dict[date, list[Window]]:
        """Return for each of the dates the instants that are its own, as windows that neither overlap nor part there.

        Nearly always it is one. Where the calendar has changed, money between windows that were kept belongs to the
        date that the calendar names now.
        """
        known = [*self.kept.values(), *(self.calendar.window(on) for on in dates)]
        edges = sorted({instant for window in known for instant in window})
        found: dict[date, list[Window]] = {on: [] for on in dates}
        for from_at, until in pairwise(edges):
            if (on := self.date_of(from_at)) in found:
                found[on].append(Window(from_at, until))
        return found

    def stretches(self, first: datetime, last: datetime) -> list[tuple[datetime, date]]:
        """Return the instants from `first` on at which another date begins, in UTC, each with that date; until `last`.

        The first of them is `first` itself.
        """
        days, local = self.calendar.calendar, self.calendar.local_date
        # A cut-off lies on its own date, or, at 24:00, where the next one begins.
        cuts = [
            self.calendar.window(on).until_at_exclusive for on in days.days_between(local(first) - ONE_DAY, local(last))
        ]
        edges = {*cuts, *(instant for window, _ in self._ordered for instant in window)}
        begins = [first, *sorted(edge for edge in edges if first < edge <= last)]
        return [(at.astimezone(UTC), self.date_of(at)) for at in begins]

    def _holder(self, instant: datetime) -> tuple[Window, date] | None:
        place = bisect_right(self._begins, instant) - 1
        if place >= 0 and instant < self._ordered[place][0].until_at_exclusive:
            return self._ordered[place]
        return None


def _time_of_day(key: str, text: str) -> timedelta:
    """Read "HH:MM", from 00:00 to 24:00, as the time since the date began."""
    hours, colon, minutes = text.partition(":")
    if (
        colon
        and len(hours) == 2
        and len(minutes) == 2
        and (hours + minutes).isascii()
        and (hours + minutes).isdecimal()
    ):
        since_midnight = timedelta(hours=int(hours), minutes=int(minutes))
        if int(minutes) < 60 and since_midnight <= ONE_DAY:
            return since_midnight
    raise ValueError(f"{key} [{text}] is not a time of day from 00:00 to 24:00")


def _dates(after: date, step: timedelta) -> Iterator[date]:
    while True:
        after += step
        yield after


@cache
def _holidays(country: str, categories: tuple[str, ...], language: str = "en_US") -> Any:
    """Return the holidays of a country or a market, named in a language or else in English, where the package can.

    Raises ValueError: the package does not know the country or one of the categories; the message says which it knows.
    """
    import holidays

    for find in (holidays.country_holidays, holidays.financial_holidays):
        with suppress(NotImplementedError):  # nothing has both names; asking for the list would import every country
            offered = find(country)
            break
    else:
        raise ValueError(f"calendar.country [{country}] is neither a country nor a market of the holidays package")
    if unknown := [category for category in categories if category not in offered.supported_categories]:
        raise ValueError(
            f"calendar.categories [{', '.join(unknown)}] are not known for [{country}], "
            f"which has [{', '.join(sorted(offered.supported_categories))}]"
        )
    named = [name for name in (language, "en_US") if name in offered.supported_languages]
    return find(country, categories=categories, language=named[0] if named else offered.default_language)
