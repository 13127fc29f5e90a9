"""The words of the messages, per language, and how typed values are written in them."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import get_day_names
from babel.numbers import format_currency

from settlement.domain import currencies
from settlement.domain.alerts import redaction
from settlement.domain.alerts.day import RevisedDate
from settlement.domain.alerts.event import Money
from settlement.domain.alerts.payouts import PayoutLine, Usual
from settlement.domain.alerts.routing import Language
from settlement.domain.alerts.task import MoneyStatus

FOLDER = Path(__file__).parent / "catalogues"
NOTHING = "–"
LONGEST_VALUE = 150
MOST_VALUES = 12

_KNOWN_BY_A_SIGN = frozenset({"KRW", "USD", "EUR", "JPY", "GBP"})
_SIGNS = "en"
"""The language whose signs stand in every message: the same dollar is not $ in one channel and US$ in the next."""

# Which table of the catalogue names the codes of a field; a code that no table names is shown as it is.
_CODES = {
    "reason": "reasons",
    "source": "sources",
    "waits_for": "waits",
    "step": "steps",
    "change": "changes",
    "cause": "causes",
    "state": "day_states",
    "control": "controls",
    "finding": "findings",
}
_MINUTES = frozenset({"minutes_left", "minutes_late", "after_minutes"})


@cache
def load(language: Language) -> Mapping[str, Any]:
    """Return the catalogue of a language."""
    return tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


def escape(text: str) -> str:
    """Return the text so that Slack shows it as it is: no mention, link or entity can come about."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Writes values in one language and time zone. Every text that comes out is escaped and free of credentials."""

    language: Language
    zone: ZoneInfo

    @property
    def catalogue(self) -> Mapping[str, Any]:
        return load(self.language)

    def say(self, table: str, key: str, **values: object) -> str:
        """Return the catalogue's sentence with the values written into its places."""
        written = {name: self.write(name, value) or NOTHING for name, value in values.items()}
        return str(self.catalogue[table][key]).format(**written)

    def write(self, name: str, value: object) -> str:
        """Return a field's value as a person reads it; "" if there is none."""
        if value is None:
            return ""
        if isinstance(value, Written):
            return str(value)
        if isinstance(value, bool):
            return str(self.catalogue["words"]["yes" if value else "no"])
        if isinstance(value, int):
            return self.duration(timedelta(minutes=value)) if name in _MINUTES else f"{value:,}"
        if isinstance(value, datetime):
            return self.instant(value)
        if isinstance(value, date):
            return self.date(value)
        if isinstance(value, Money):
            return money(value)
        if isinstance(value, RevisedDate):
            return self.say("words", "revised", date=value.settlement_date, revision=value.revision)
        if isinstance(value, PayoutLine):
            return f"{safe(value.payee_id)} {money(value.amount)}"
        if isinstance(value, Usual):
            return self.say("words", "usual", amount=value.amount, weeks=value.weeks, percent=value.percent)
        if isinstance(value, MoneyStatus):
            return self.say("money", value.state, count=value.count, amounts=value.amounts)
        if isinstance(value, Sequence) and not isinstance(value, str):
            more = len(value) - MOST_VALUES
            left_out = [self.say("words", "more", count=more)] if more > 0 else []
            return " · ".join([*(self.write(name, item) for item in value[:MOST_VALUES]), *left_out])
        return self.code(_CODES[name], str(value)) if name in _CODES else safe(str(value))

    def code(self, table: str, code: str) -> str:
        """Return what the catalogue calls a code, or the code itself."""
        return str(self.catalogue[table].get(code, "")) or safe(code)

    def cause(self, cause: str, subject_kind: str) -> str:
        """Return what the catalogue calls a break: by its cause, and by what it is about where that has a name."""
        of_kind = self.catalogue["causes"].get(f"{cause}:{subject_kind}")
        return str(of_kind) if of_kind else self.code("causes", cause)

    def date(self, value: date) -> str:
        weekday = get_day_names("abbreviated", locale=self.language)[value.weekday()]
        return f"{value.isoformat()} ({weekday})"

    def instant(self, value: datetime) -> str:
        return f"{value.astimezone(self.zone):%m-%d %H:%M}"

    def duration(self, value: timedelta) -> str:
        """Return hours and minutes, or days and hours. By hand: babel says one unit only ("3 hours")."""
        minutes = max(round(value / timedelta(minutes=1)), 0)
        hours, days = minutes // 60, minutes // 1440
        if hours >= 48:
            return self.say("words", "days", days=days, hours=hours % 24)
        return self.say("words", "hours" if hours else "minutes", hours=hours, minutes=minutes % 60)


class Written(str):
    """A text that is ready to be shown: escaped, redacted, or the catalogue's own."""

    __slots__ = ()


def money(value: Money) -> str:
    """Return the amount as people write it: ₩1,234 · -$12.30 · 1,234.00 CHF."""
    try:
        places = currencies.exponent(value.currency)
    except currencies.UnknownCurrency:
        return f"{value.amount:,} {safe(value.currency)}"
    # The decimals are ISO's, not those of CLDR, which writes the Iraqi dinar without its three.
    number = "#,##0" + ("." + "0" * places if places else "")
    pattern = f"¤{number}" if value.currency in _KNOWN_BY_A_SIGN else f"{number} ¤¤"
    amount = Decimal(value.amount).scaleb(-places)
    return format_currency(amount, value.currency, format=pattern, locale=_SIGNS, currency_digits=False)


def percent(part: int, whole: int) -> str:
    """Return the part in per cent with one decimal, rounded down: 100% is said only when nothing is missing."""
    if whole == 0 or part == whole:
        return "100%"
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10}%"


def safe(text: str) -> str:
    """Return a short text of ours so that it can stand in a message: one line, no credentials, escaped."""
    return escape(redaction.shorten(" ".join(redaction.credentials(text[: LONGEST_VALUE * 4]).split()), LONGEST_VALUE))
