"""What docker-compose.yaml, .env.example and the Dockerfile must hold, read as they are written."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docker-compose.yaml").read_text(encoding="utf-8")
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
EXAMPLE = (PROJECT / ".env.example").read_text(encoding="utf-8")
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
OURS = [name for name in SERVICES if name not in ("postgres", "redis")]
LAB = ("bank", "bank-account")
BANK_FOLDER = "${BANK_FOLDER:-bank-files}:/var/lib/settlement/bank"
ONE_SHOT = ("airflow-init", "bank-account")
SECRETS_OF_AIRFLOW = (
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
)
MAY_KNOW_THE_SECRETS = {"airflow-init", "api-server", "scheduler", "dag-processor", "triggerer", "clean"}


def environment(service: str) -> dict[str, str]:
    return SERVICES[service].get("environment") or {}


def test_every_part_of_the_pipeline_is_a_service() -> None:
    assert set(SERVICES) == {
        "postgres",
        "redis",
        "airflow-init",
        "api-server",
        "scheduler",
        "dag-processor",
        "worker",
        "triggerer",
        "watch",
        "clean",
        "bank",
        "bank-account",
    }


def test_only_the_bank_waits_for_a_rehearsal() -> None:
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "bank": ["rehearsal"],
        "bank-account": ["rehearsal"],
    }


def test_every_variable_of_the_file_is_explained_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", TEXT))
    passed_on = {name for service in SERVICES for name, value in environment(service).items() if value is None}
    explained = set(re.findall(r"(?m)^(?:# )?([A-Z0-9_]+)=", EXAMPLE))
    assert used | passed_on == explained


def test_every_secret_is_left_empty_and_says_how_it_is_made() -> None:
    empty = re.findall(r"(?m)^([A-Z0-9_]+)=$", EXAMPLE)
    assert set(empty) == {
        name for name in re.findall(r"(?m)^([A-Z0-9_]+)=", EXAMPLE) if re.search("KEY|SECRET|PASS", name)
    }
    filled = runpy.run_path(str(PROJECT / "compose" / "new_env.py"))["filled"](EXAMPLE)
    values = dict(re.findall(r"(?m)^([A-Z0-9_]+)=(.*)$", filled))
    assert all(re.fullmatch(r"[\w=-]{44,}", values[name]) for name in empty)
    assert len({values[name] for name in empty}) == len(empty)


def test_a_secret_without_a_value_starts_nothing() -> None:
    empty = re.findall(r"(?m)^([A-Z0-9_]+)=$", EXAMPLE)
    for name in empty:
        uses = re.findall(rf"(?<!\$)\$\{{{name}([^}}]*)\}}", TEXT)
        assert uses, f"{name} is not used"
        assert all(use.startswith(":?") for use in uses), f"{name} has a default somewhere"


@pytest.mark.parametrize("name", [*SECRETS_OF_AIRFLOW, "AIRFLOW__API__SECRET_KEY"])
def test_what_services_share_is_one_value_everywhere(name: str) -> None:
    values = {service: environment(service)[name] for service in SERVICES if name in environment(service)}
    assert len(set(values.values())) == 1
    assert set(values) >= MAY_KNOW_THE_SECRETS


def test_the_worker_the_watch_and_the_bank_know_no_secret_of_airflow() -> None:
    for service in set(SERVICES) - MAY_KNOW_THE_SECRETS - {"postgres"}:
        assert not set(SECRETS_OF_AIRFLOW) & set(environment(service)), service
        assert "AIRFLOW_DB_PASSWORD" not in str(SERVICES[service]), service


def test_connections_to_money_are_where_tasks_callbacks_and_the_watch_run() -> None:
    connected = {service for service in SERVICES if "AIRFLOW_CONN_LENDING_CORE" in environment(service)}
    assert connected == {"worker", "dag-processor", "watch"}
    as_owner = {service for service in SERVICES if "SETTLEMENT_DB_PASSWORD" in str(environment(service))}
    assert as_owner == {"airflow-init", "postgres"}


def test_frozen_inputs_are_on_a_volume_that_every_worker_and_the_watch_mount() -> None:
    for service in SERVICES:
        folder = environment(service).get("SETTLEMENT_SNAPSHOTS")
        assert (folder is None) == (service not in ("worker", "watch")), service
        assert folder is None or f"snapshots:{folder}" in SERVICES[service]["volumes"]
    assert "snapshots" in FILE["volumes"]


def test_a_bank_of_folders_is_where_the_connection_of_the_example_says() -> None:
    assert [name for name in SERVICES if BANK_FOLDER in SERVICES[name].get("volumes", [])] == ["worker"]
    assert "bank-files" in FILE["volumes"]
    (line,) = re.findall(r"(?m)^# AIRFLOW_CONN_SETTLEMENT_BANK='(.*)'$", EXAMPLE)
    extra = json.loads(line)["extra"]
    inside = BANK_FOLDER.rpartition(":")[2]
    assert (extra["drop"], extra["pickup"]) == (f"{inside}/out", f"{inside}/in")
    assert re.search(rf"install -d -o airflow -m 0700 .*{inside} ", DOCKERFILE)


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_fills_the_machine(service: str) -> None:
    options = SERVICES[service]["logging"]["options"]
    assert (options["max-size"], options["max-file"]) == ("10m", "10")
    assert re.fullmatch(r"(\$\{[A-Z_]+:-)?\d+[gm]\}?", SERVICES[service]["mem_limit"])


def test_what_old_runs_leave_is_cleaned_and_the_books_are_not() -> None:
    command = SERVICES["clean"]["command"][-1]
    assert "airflow db clean --yes" in command
    assert "KEEP_DAYS=90\n" in EXAMPLE
    assert not {"AIRFLOW_CONN_SETTLEMENT_DB", "SETTLEMENT_SNAPSHOTS"} & set(environment("clean"))
    assert "snapshots" not in str(SERVICES["clean"]["volumes"])


def test_the_pages_believe_the_proxy_before_them_and_nobody_else_reaches_them() -> None:
    assert "--proxy-headers" in SERVICES["api-server"]["command"]
    assert [name for name in SERVICES if "FORWARDED_ALLOW_IPS" in environment(name)] == ["api-server"]
    assert SERVICES["api-server"]["ports"][0].startswith("127.0.0.1:")


def test_the_code_is_mounted_where_python_looks_for_it_and_cannot_be_written() -> None:
    for service in OURS:
        mounts = SERVICES[service].get("volumes", [])
        if "PYTHONPATH" in environment(service):
            assert f"./include:{environment(service)['PYTHONPATH']}:ro" in mounts, service
        if "AIRFLOW__CORE__DAGS_FOLDER" in environment(service):
            assert f"./dags:{environment(service)['AIRFLOW__CORE__DAGS_FOLDER']}:ro" in mounts, service
            assert f"./plugins:{environment(service)['AIRFLOW__CORE__PLUGINS_FOLDER']}:ro" in mounts, service
        folders = [mount for mount in mounts if mount.startswith((".", "$")) and mount != BANK_FOLDER]
        assert all(mount.endswith(":ro") for mount in folders), service


def test_ports_are_open_to_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]}


def test_databases_and_queue_are_out_of_reach_and_out_of_the_net() -> None:
    assert FILE["networks"]["inside"]["internal"] is True
    for service in ("postgres", "redis", "scheduler", "triggerer", "airflow-init"):
        assert SERVICES[service]["networks"] == ["inside"], service
    assert SERVICES["bank"]["networks"] == ["outside"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(service: str) -> None:
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[service]["security_opt"]
    assert not {"privileged", "network_mode", "pid", "devices"} & set(SERVICES[service])
    assert "docker.sock" not in TEXT


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in ONE_SHOT])
def test_a_service_that_runs_is_asked_whether_it_is_well(service: str) -> None:
    check = SERVICES[service]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)
    assert SERVICES[service]["restart"] == "unless-stopped"


def test_nobody_starts_before_what_it_needs() -> None:
    for name, service in SERVICES.items():
        for other, dependency in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert dependency == {"condition": expected}, (name, other)


def test_images_are_pinned() -> None:
    images = [SERVICES[name]["image"] for name in ("postgres", "redis")] + re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?(-slim)?-bookworm", image) for image in images), images
    assert SERVICES["postgres"]["image"].startswith("postgres:18.")


def test_the_image_is_ours_at_our_version_and_python_one_that_we_allow() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tag = f"${{SETTLEMENT_VERSION:-{project['version']}}}"
    assert {SERVICES[name]["image"] for name in OURS if name not in LAB} == {f"settlement:{tag}"}
    assert {SERVICES[name]["image"] for name in LAB} == {f"settlement-lab:{tag}"}
    assert f"SETTLEMENT_VERSION={project['version']}\n" in EXAMPLE
    assert project["requires-python"].startswith(">=3.11")
    assert re.findall(r"(?m)^FROM python:(\d+\.\d+)", DOCKERFILE) == ["3.11", "3.11"]
    assert "USER airflow" in DOCKERFILE


def test_the_image_holds_what_the_lock_says_and_no_development_tools() -> None:
    assert DOCKERFILE.count("uv sync --frozen --no-dev ${LAB:+--extra lab}") == DOCKERFILE.count("uv sync") == 2
    assert {name for name in OURS if "LAB" in str(SERVICES[name]["build"])} == set(LAB)
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*", "nothing goes into the build that is not named"
    copied = set(" ".join(re.findall(r"(?m)^COPY (?!--)(.*) \S+$", DOCKERFILE)).split())
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}
