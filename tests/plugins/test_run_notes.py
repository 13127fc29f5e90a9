"""The settlement date as the note of a run in Airflow's pages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
import run_notes

from .test_bank_days import at, timetable


def dag_run(**said: Any) -> Any:
    given: dict[str, Any] = {
        "dag_id": "daily_settlement",
        "run_type": "manual",
        "conf": {},
        "note": None,
        "data_interval_end": None,
    }
    return SimpleNamespace(dag=SimpleNamespace(timetable=timetable()), **given | said)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_with_a_window_is_about_its_date_when_it_starts(run_type: str) -> None:
    run = dag_run(run_type=run_type, data_interval_end=pendulum.instance(at("2026-02-14T00:00")))
    run_notes.RunNotes().on_dag_run_running(run, "started")
    assert run.note == "Settlement date 2026-02-13"


def test_a_run_by_hand_is_about_the_date_that_it_was_asked_for() -> None:
    for conf, note in (
        ({"settlement_date": "2026-02-12"}, "Settlement date 2026-02-12"),
        ({}, None),
        (None, None),
        ({"settlement_date": "tomorrow"}, None),
        ({"settlement_date": 12}, None),
    ):
        run = dag_run(conf=conf, data_interval_end=pendulum.instance(at("2026-02-14T00:00")))
        run_notes.RunNotes().on_dag_run_running(run, "started")
        assert run.note == note, conf


def test_what_a_person_wrote_stays_and_our_own_note_follows_the_run() -> None:
    for before, after in (
        ("asked by the auditor", "asked by the auditor"),
        ("Settlement date 2026-02-12", "Settlement date 2026-02-13"),
    ):
        run = dag_run(note=before, conf={"settlement_date": "2026-02-13"})
        run_notes.RunNotes().on_dag_run_running(run, "started")
        assert run.note == after


def test_other_dags_get_no_note() -> None:
    run = dag_run(dag_id="another", conf={"settlement_date": "2026-02-13"})
    for listen in (run_notes.RunNotes().on_dag_run_running, run_notes.RunNotes().on_dag_run_success):
        listen(run, "")
    assert run.note is None
