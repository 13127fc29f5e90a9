"""Two dates that share loans, computed at once, over two hundred times: each time one stands still at another point.

The points are before every statement, copy and commit on the books, and on both sides of every reading of positions and
of the source and of every writing and reading of a snapshot, from before the freeze until the results are posted. Then
the same with one date and two processes of its run. About five minutes alone, eleven beside others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from settlement_lab.servers import embedded

from tests.stages.two_dates import FIRST, SECOND, at_once, computed, configure, fill, opened, verified

AT_LEAST = 200


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_two_dates_at_once_come_to_what_they_come_to_one_after_the_other(
    lending_core: Any,
    postgres: embedded.Server,
    new_database: Callable[..., str],
    migrated_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(lending_core.owner_url)

    def new_books(number: int) -> Any:
        name = new_database(template=migrated_template)
        return configure(
            monkeypatch,
            core_url=lending_core.url,
            ledger_url=postgres.url(name, user="settlement"),
            snapshots=tmp_path / str(number),
        )

    def one_after_the_other(number: int, *dates: date) -> dict[str, Any]:
        books = new_books(number)
        with books.services() as services:
            for on in dates:
                computed(services, opened(services, on))
            assert verified(services) == []
        return dict(books.outcome())

    in_order, second_alone = one_after_the_other(-2, FIRST, SECOND), one_after_the_other(-1, SECOND)
    times, overtaken = 0, 0
    for held, other in ((FIRST, SECOND), (SECOND, FIRST), (SECOND, SECOND)):
        for at in count(1):
            times += 1
            books = new_books(times)
            with books.services() as services:
                days = {on: opened(services, on) for on in (FIRST, SECOND)}
                if held == other:
                    computed(services, days[FIRST])
                stop, refused = at_once(books, services, monkeypatch, held=days[held], other=days[other], at=at)
                where = f"[{held}] held at [{at}] {stop.names[at - 1 : at]}"
                assert verified(services) == [], where
            # A date that a later one on the same loans overtook is refused, and has moved nothing.
            assert set(refused) <= {FIRST} & {held, other}, where
            assert books.outcome() == (second_alone if refused else in_order), where
            overtaken += bool(refused)
            if not stop.reached.is_set():
                break  # there is no such point
    assert times >= AT_LEAST
    assert 0 < overtaken < times
