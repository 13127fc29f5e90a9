"""Which settlement dates the company's other DAGs have still to hear of.

What they were told stands in Airflow, as asset events; what is true stands in the books. A date is news as long as the
last event about it says something else than the books, so one that was lost with the task that would have told it is
told by the next task that looks, and a second run of a settled date tells nothing. The books keep nothing of it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from settlement.ports.days import SettledDate
from settlement.ports.services import Services

LOOK_BACK = timedelta(days=14)
"""How long after a date changed it is told if nobody was told; Airflow is asked for the events of no more time."""


def news(services: Services, told: Iterable[Mapping[str, Any]], *, now: datetime) -> list[SettledDate]:
    """Return the dates that were settled, restated or closed within `LOOK_BACK` and that stand otherwise than was told.

    `told` is what earlier events said (see `said_of`), oldest first: the last word about a date counts.
    """
    last = {said.get("date"): said for said in told}
    with services.ledger.books(read_only=True) as books:
        settled = books.days.settled_since(now - LOOK_BACK)
    return [day for day in settled if last.get(day.settlement_date.isoformat()) != said_of(day)]


def said_of(day: SettledDate) -> dict[str, Any]:
    """Return what an event says of a date, as plain JSON values: `date`, `revision`, `state`, `sha256`."""
    return {
        "date": day.settlement_date.isoformat(),
        "revision": day.revision,
        "state": day.state.value,
        "sha256": day.sha256,
    }
