"""The DAG through Airflow, with stages that only note that they were called."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from settlement_lab.servers.embedded import Server

pytestmark = pytest.mark.timeout(1_000)  # the first test plays every run, which a busy machine takes minutes for

ROOT = Path(__file__).parents[2]
IN_ORDER = [
    "open_day",
    "freeze_inputs",
    "distribute",
    "take_in",
    "prepare",
    "approval",
    "submit",
    "answers",
    "statement",
    "match",
    "prove",
    "report",
]


@pytest.fixture(scope="module")
def played(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "SETTLEMENT"))} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.airflow_url,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }
    airflow = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(airflow, env=environment, check=True, capture_output=True, timeout=120)
    program = [sys.executable, str(ROOT / "tests" / "dags" / "fake_product.py"), str(ROOT / "dags")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-5000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_day_calls_each_stage_once_and_in_order(played: dict[str, Any]) -> None:
    assert played["a day"]["calls"] == IN_ORDER
    assert played["a day"]["state"] == "success"


def test_what_was_asked_reaches_the_first_stage_and_its_day_reaches_all_others(played: dict[str, Any]) -> None:
    day = played["a day"]
    request = day["arguments"]["open_day"]["subject"]
    assert request == {
        "settlement_date": "2026-02-13",
        "run_id": day["run_id"],
        "run_type": "manual",
        "triggered_by": "dag_test",
        "reason": "asked by hand",
        "dry_run": False,
        "transfer": True,
        "clear_number": 0,
        "kept_conf": None,
    }
    opened = {
        "settlement_date": "2026-02-13",
        "revision": 1,
        "run_id": day["run_id"],
        "run_type": "manual",
        "backfill_id": None,
        "dry_run": False,
        "transfer": True,
        "clear_number": 0,
        "kept_conf": None,
    }
    assert all(day["arguments"][stage]["subject"] == opened for stage in IN_ORDER[1:])


def test_a_run_says_in_its_note_which_date_it_settled_once_it_took_one_on(played: dict[str, Any]) -> None:
    assert played["a day"]["note"] == "Settlement date 2026-02-13"
    assert played["no date"]["note"] == "Settlement date 2026-02-12"
    assert played["present moment"]["state"] == "failed"
    assert played["present moment"]["note"] == "Settlement date 2026-02-12"
    assert played["misspelt"]["note"] is None


def test_without_a_date_the_logical_date_of_a_run_by_hand_names_it(played: dict[str, Any]) -> None:
    assert played["a bare date"]["arguments"]["open_day"]["subject"]["settlement_date"] == "2026-02-09"


def test_the_present_moment_names_no_date_and_a_failure_is_told_of_the_date_that_was_opened(
    played: dict[str, Any],
) -> None:
    run = played["present moment"]
    assert run["arguments"]["open_day"]["subject"]["settlement_date"] is None
    assert run["calls"] == ["open_day", "freeze_inputs", "distribute", "task_failed", "run_failed"]
    assert run["arguments"]["task_failed"]["subject"]["settlement_date"] == "2026-02-12"


def test_a_dry_run_reaches_every_stage_as_one_and_its_report_hears_what_was_computed(played: dict[str, Any]) -> None:
    dry = played["dry"]
    assert dry["calls"] == IN_ORDER
    assert all(dry["arguments"][stage]["subject"]["dry_run"] is True for stage in IN_ORDER)
    assert dry["arguments"]["report"]["computed"] == {"stage": "distribute"}


def test_without_date_and_interval_the_stage_decides_and_the_switches_reach_it(played: dict[str, Any]) -> None:
    request = played["no date"]["arguments"]["open_day"]["subject"]
    assert (request["settlement_date"], request["dry_run"], request["transfer"]) == (None, True, False)
    assert played["no date"]["calls"] == IN_ORDER


def test_what_is_refused_fails_at_once_and_is_told(played: dict[str, Any]) -> None:
    refused = played["refused"]
    assert refused["state"] == "failed"
    assert refused["calls"] == ["open_day", "task_failed", "run_failed"]
    assert refused["tries"]["extract.open_day"] == 1
    told = refused["arguments"]["task_failed"]["subject"]
    assert (told["error"], told["is_refused"]) == ("RequestRefused: [2026-02-15] is a Sunday", True)
    assert told["asked_by"] == "dag_test"
    assert told["settlement_date"] == "2026-02-15"
    assert (told["task_id"], told["try_number"], told["run_id"]) == ("extract.open_day", 1, refused["run_id"])
    of_run = refused["arguments"]["run_failed"]["subject"]
    assert (of_run["task_id"], of_run["error"]) == ("extract.open_day", "the process died")


def test_an_unknown_parameter_fails_the_first_task_at_once_and_opens_no_day(played: dict[str, Any]) -> None:
    misspelt = played["misspelt"]
    assert misspelt["state"] == "failed"
    assert misspelt["calls"] == ["task_failed", "run_failed"]
    assert misspelt["tries"]["extract.open_day"] == 1
    told = misspelt["arguments"]["task_failed"]["subject"]
    assert told["error"].startswith(
        "RequestRefused: The run was asked [dryrun] = [true], which is no parameter: there are"
    )
    assert told["settlement_date"] == "2026-02-12"


def test_a_broken_control_stops_the_day_at_once(played: dict[str, Any]) -> None:
    broken = played["broken"]
    assert broken["calls"] == ["open_day", "freeze_inputs", "distribute", "task_failed", "run_failed"]
    assert broken["tries"]["compute.distribute"] == 1
    assert broken["arguments"]["task_failed"]["subject"]["error"].startswith(
        "Broken: Control [entries_balance] is broken"
    )


def test_what_takes_back_money_is_put_to_a_second_person_and_where_there_is_none_the_day_stops(
    played: dict[str, Any],
) -> None:
    alone = played["nobody to ask"]
    assert alone["calls"] == ["open_day", "freeze_inputs", "distribute", "take_back", "task_failed", "run_failed"]
    assert alone["arguments"]["take_back"]["triggered_by"] == "dag_test"
    assert alone["tries"]["compute.distribute"] == 1
    assert alone["arguments"]["task_failed"]["subject"]["error"] == "Refused: the only approver is [dag_test]"


def test_what_did_not_answer_is_tried_again(played: dict[str, Any]) -> None:
    unavailable = played["unavailable"]
    assert unavailable["state"] == "success"
    assert unavailable["calls"] == [*IN_ORDER[:4], "task_retry", *IN_ORDER[3:]]
    assert unavailable["tries"]["transfer.take_in"] == 2
    told = unavailable["arguments"]["task_retry"]["subject"]
    assert told["error"] == "Unavailable: the bank [127.0.0.1:9] did not answer"
    assert told["next_try_at"] is not None


def test_what_has_not_come_yet_is_asked_for_again_without_a_failure(played: dict[str, Any]) -> None:
    waited = played["not yet"]
    assert waited["state"] == "success"
    assert waited["calls"] == [*IN_ORDER[:4], *IN_ORDER[3:]]
    assert waited["tries"]["transfer.take_in"] == 1


def test_what_is_waited_for_is_asked_for_every_five_minutes_and_never_before_the_scheduler_can_hear(
    played: dict[str, Any],
) -> None:
    assert played["waits"] == [300, 60, 15]


def test_a_settled_date_is_announced_once_and_a_dry_run_never(played: dict[str, Any]) -> None:
    said = {"revision": 1, "state": "settled", "sha256": "5e77ed"}
    assert played["a day"]["announced"] == [
        {"asset": "settlement_date/2026-02-13", "date": "2026-02-13", **said},
    ]
    assert played["dry"]["announced"] == played["no date"]["announced"] == []
    assert played["unavailable"]["announced"] == [
        {"asset": "settlement_date/2026-02-12", "date": "2026-02-12", **said},
    ]
    assert played["not yet"]["announced"] == []  # the same date again, and nothing about it is new


def test_what_cannot_be_announced_fails_no_day_and_is_announced_between_the_days(played: dict[str, Any]) -> None:
    assert played["deaf"]["state"] == "success"
    assert played["deaf"]["announced"] == []
    between = played["between the days"]
    assert between["calls"] == ["take_in_everything"]
    said = {"revision": 1, "sha256": "5e77ed"}
    assert between["announced"] == [
        {"asset": "settlement_date/2026-02-05", "date": "2026-02-05", "state": "settled", **said},
        {"asset": "settlement_date/2026-02-13", "date": "2026-02-13", "state": "closed", **said},
    ], "the run of the 9th is under way again, and announces it itself"
