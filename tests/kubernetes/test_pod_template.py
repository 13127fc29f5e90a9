"""What kubernetes/ must hold: a Pod that Kubernetes takes, which has what a worker of docker-compose.yaml has."""

from __future__ import annotations

import copy
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

PROJECT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(__file__).parent / "pod.schema.json").read_text(encoding="utf-8"))
POD: dict[str, Any] = yaml.safe_load((PROJECT / "kubernetes" / "pod_template.yaml").read_text(encoding="utf-8"))
CONNECTIONS: dict[str, Any] = yaml.safe_load((PROJECT / "kubernetes" / "connections.yaml").read_text(encoding="utf-8"))
(BASE,) = POD["spec"]["containers"]
WORKER = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]["worker"]

OF_CELERY = ("AIRFLOW__CELERY__", "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT", "AIRFLOW__CORE__HOSTNAME_CALLABLE")
OF_THE_PAGES = ("AIRFLOW__API__", "AIRFLOW__CORE__AUTH_MANAGER")
OPTIONAL = (
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED", "PYTHONPATH", "SETTLEMENT_AIRFLOW_URL", "SETTLEMENT_NOW",
    "SETTLEMENT_RUNBOOK_URL",
)  # fmt: skip


def problems(pod: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(pod)]


def test_kubernetes_takes_the_pod() -> None:
    assert problems(POD) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(("spec", "restartPolicies"), "Never", id="a key that there is not"),
        pytest.param(("spec", "containers", 0, "env", 0, "value"), 8080, id="a number for a text"),
        pytest.param(("spec", "containers", 0, "volumeMounts", 0), {"name": "policy"}, id="a mount without a path"),
    ],
)
def test_kubernetes_would_refuse_a_pod_that_is_misspelt(place: tuple[str | int, ...], value: object) -> None:
    pod: Any = copy.deepcopy(POD)
    part = pod
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    assert problems(pod) != []


def test_airflow_finds_the_container_with_this_version_and_every_mount_its_volume() -> None:
    assert BASE["name"] == "base"
    assert BASE["image"] == f"settlement:{version('settlement')}"
    assert {mount["name"] for mount in BASE["volumeMounts"]} == {volume["name"] for volume in POD["spec"]["volumes"]}


def test_a_pod_is_told_what_a_worker_of_compose_is_told() -> None:
    (secret,) = BASE["envFrom"]
    assert secret["secretRef"]["name"] == CONNECTIONS["metadata"]["name"]
    told = {variable["name"] for variable in BASE["env"]} | CONNECTIONS["stringData"].keys()
    assert told == {
        name for name in WORKER["environment"] if not name.startswith((*OF_CELERY, *OF_THE_PAGES, *OPTIONAL))
    }


def test_each_connection_is_json_and_no_secret_of_airflow_is_among_them() -> None:
    for text in CONNECTIONS["stringData"].values():
        assert json.loads(text)["conn_type"] in ("generic", "http", "slack", "smtp")
    assert all(name.startswith("AIRFLOW_CONN_") for name in CONNECTIONS["stringData"])
