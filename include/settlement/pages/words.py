"""What pages say in one language, and how they write money, dates and instants."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from settlement.domain import currencies
from settlement.domain.alerts.routing import Language

FOLDER = Path(__file__).parent / "catalogues"
LANGUAGES: tuple[Language, ...] = ("ko", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of one language, instants in one zone."""

    language: Language
    zone: ZoneInfo

    def __call__(self, key: str, **values: object) -> str:
        """Return a sentence of the catalogue, `part.name`, with the values in its places.

        Raises KeyError: the catalogue does not have it.
        """
        part, _, name = key.partition(".")
        return str(catalogue(self.language)[part][name]).format(**values)

    def of(self, part: str, name: object) -> str:
        """Return what a part of the catalogue calls something; what it does not name is called as it is."""
        return str(catalogue(self.language)[part].get(str(name), name))

    def told(self, text: str | None) -> str:
        """Return a sentence that the product kept or raised, in this language; one that it does not know stays."""
        for name, pattern in _sentences().items() if text else ():
            if found := pattern.fullmatch(text or ""):
                values = {key: self._in_place(key, said) for key, said in found.groupdict().items()}
                return str(catalogue(self.language)["told"][name]).format(**values)
        return text or ""

    def _in_place(self, key: str, said: str) -> str:
        """Return what stands in a place of a sentence: the rest of it is one of its own, a rule has a name."""
        return self.told(said) if key == "rest" else self.of("rules", said) if key == "rule" else said

    def amount(self, amount: int | None, currency: str | None, *, signed: bool = False) -> str:
        """Write minor units with separators and without the currency: -1234567 KRW is "-1,234,567"."""
        if amount is None or currency is None:
            return ""
        sign = "+" if signed and amount > 0 else ""
        return f"{sign}{currencies.to_grouped_text(amount, currency)}"

    def instant(self, instant: datetime | None) -> str:
        """Write an instant as the clock of the policy's zone shows it."""
        return f"{instant.astimezone(self.zone):%Y-%m-%d %H:%M:%S}" if instant else ""

    def value(self, value: object) -> str:
        """Write any other value."""
        if value is None:
            return ""
        if isinstance(value, datetime):
            return self.instant(value)
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, bool):
            return self.of("yes_no", "yes" if value else "no")
        if isinstance(value, int):
            return f"{value:,}"
        return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """Return the words of a language."""
    return tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


@cache
def _sentences() -> Mapping[str, re.Pattern[str]]:
    """Return how each sentence of the product is known: as the English catalogue has it, anything in its places."""
    return {
        name: re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*?)", re.escape(sentence)), re.DOTALL)
        for name, sentence in catalogue("en")["told"].items()
    }
