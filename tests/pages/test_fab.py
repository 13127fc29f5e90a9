"""The pages' door under FabAuthManager, as compose runs Airflow: who may look and who may act, by its own roles."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import HTTPException
from settlement.pages import visitors


@pytest.fixture
def fab(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The auth manager, whose answers depend on a user's permissions alone and not on Airflow's database."""
    if "AIRFLOW_HOME" not in os.environ:
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    from settlement.adapters.approvers import NamedApprovers

    manager: Any = cast(Any, NamedApprovers)()
    monkeypatch.setattr("airflow.api_fastapi.app.get_auth_manager", lambda: manager)
    return manager


def visitor(monkeypatch: pytest.MonkeyPatch, *permissions: list[tuple[str, str]]) -> visitors.Visitor:
    """Let somebody of Airflow with these permissions ask for a page."""
    user = SimpleNamespace(perms={one for some in permissions for one in some}, get_name=lambda: "kim")

    async def of_request(*_: object) -> SimpleNamespace:
        return user

    monkeypatch.setattr("airflow.api_fastapi.core_api.security.get_user", of_request)
    request: Any = SimpleNamespace(headers={})
    return asyncio.run(visitors.of_airflow(request))


def test_a_viewer_of_fab_looks_a_user_acts_and_whoever_may_not_read_the_dag_is_not_let_in(
    fab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride as Roles

    looks, acts = Roles.VIEWER_PERMISSIONS, Roles.USER_PERMISSIONS
    assert visitor(monkeypatch, looks) == visitors.Visitor(name="kim", may_act=False)
    assert visitor(monkeypatch, looks, acts) == visitors.Visitor(name="kim", may_act=True, may_ask_bank=True)
    runs = ("can_create", "DAG Runs")
    no_runs = [permission for permission in acts if permission != runs]
    assert visitor(monkeypatch, looks, no_runs) == visitors.Visitor(name="kim", may_act=True)
    of_one_dag = [("can_read", "DAG:daily_settlement")]
    assert visitor(monkeypatch, of_one_dag) == visitors.Visitor(name="kim", may_act=False)
    assert visitor(monkeypatch, of_one_dag, [("can_edit", "HITL Detail")]).may_act is False, (
        "answers need the DAG's edit"
    )
    for other in ([], [("can_read", "DAG:another")]):
        with pytest.raises(HTTPException) as refused:
            visitor(monkeypatch, other)
        assert refused.value.status_code == 403
