"""What other DAGs have still to hear of: each settled, restated or closed date, once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from settlement.ports.days import SettledDate
from settlement.stages import announce, reconcile

from .conftest import Platform
from .payout_stories import MORNING, ON, settle, worked_day


def news(platform: Platform, told: list[dict[str, Any]], *, at: str = MORNING) -> list[SettledDate]:
    with platform.services() as services:
        return announce.news(services, told, now=platform.at(at))


def sha256_of(platform: Platform, revision: int) -> str:
    query = "select output_sha256 from ledger.revisions where settlement_date = :on and revision = :revision"
    return str(platform.rows(query, on=ON, revision=revision)[0][0])


def test_a_date_is_told_when_it_is_settled_restated_and_closed_and_each_time_once(platform: Platform) -> None:
    worked_day(platform)
    told: list[dict[str, Any]] = []
    settle(platform, stop_after="distribute")
    assert news(platform, told) == []

    settle(platform)
    (settled,) = news(platform, told)
    assert settled.run_id == "run-1"
    told.append(announce.said_of(settled))
    assert told == [{"date": ON, "revision": 1, "state": "settled_with_breaks", "sha256": sha256_of(platform, 1)}]
    settle(platform, run_id="run-again")
    assert news(platform, told) == []

    closing = platform.at("2026-02-23T06:00+09:00")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=closing)
    (closed,) = news(platform, told, at="2026-02-23T06:00+09:00")
    told.append(announce.said_of(closed))
    assert told[-1] == told[0] | {"state": "closed"}

    platform.source("update core.receivables set amount = 12000 where receivable_id = 'L1-1-I'")
    again = {"at": "2026-02-23T09:00+09:00", "reason": "interest was 12 000"}
    platform.settle(ON, run_id="run-2", stop_after="distribute", **again)
    (restated,) = news(platform, told, at="2026-02-23T09:00+09:00")
    assert announce.said_of(restated) == {
        "date": ON,
        "revision": 2,
        "state": "settled",
        "sha256": sha256_of(platform, 2),
    }
    assert sha256_of(platform, 2) != sha256_of(platform, 1)


def test_the_last_word_about_a_date_counts_and_what_changed_long_ago_is_told_no_more(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    (settled,) = news(platform, [{}, {"by": "somebody else"}])
    said = announce.said_of(settled)
    assert news(platform, [said, said | {"state": "closed"}]) == [settled]
    assert news(platform, [said | {"state": "closed"}, said]) == []

    now = datetime.fromisoformat(MORNING)
    with platform.services() as services:
        assert announce.news(services, [], now=now + timedelta(days=14)) == [settled]
        assert announce.news(services, [], now=now + timedelta(days=14, seconds=1)) == []
