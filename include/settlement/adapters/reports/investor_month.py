"""One investor's month as a page that prints."""

from collections.abc import Mapping
from typing import Any

from settlement.adapters.reports import catalogue, paper
from settlement.domain import currencies
from settlement.domain.alerts.routing import Language
from settlement.ports.explain import SHARE_AMOUNTS

OF_THE_BALANCE = ("opening", "earned", "paid_out", "corrected", "closing")
NAMED = {"component": "components", "state": "payout_states", "event": "corrections"}
"""The columns whose values have words, and where these stand in the catalogue."""


def page(found: Mapping[str, Any], *, language: Language) -> bytes:
    """Return the page, in UTF-8; `found` is what `stages.investor_month` says."""
    words = catalogue(language)

    def written(row: Mapping[str, Any], name: str) -> str:
        value = row[name]
        if value is None:
            return ""
        if is_number(name):
            return currencies.to_grouped_text(value, row["currency"])
        return str(words[NAMED[name]].get(value, value)) if name in NAMED else str(value)

    text = paper.template("investor_month.html").render(
        found=found,
        title=words["month"]["title"].format(**found),
        t=words["month"],
        amounts=SHARE_AMOUNTS,
        heading=lambda name: words["month"].get(name) or words["columns"].get(name, name),
        is_number=is_number,
        written=written,
        language=language,
    )
    return text.encode()


def is_number(name: str) -> bool:
    """Tell whether a column holds amounts."""
    return name == "amount" or name in SHARE_AMOUNTS or name in OF_THE_BALANCE
