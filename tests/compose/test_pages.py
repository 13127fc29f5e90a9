"""The operator's pages under FabAuthManager, in the API server as docker-compose.yaml runs it.

About three minutes on two cores. Its users log in as a browser does, by FAB's own form. It needs Debian's package
docker-compose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from . import stack as stacks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGES = ("/", "/calendar", "/payouts", "/breaks", "/trace", "/gate", "/bank")
STATEMENT = {"statement": ("16 Feb.xml", b"<Document/>")}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    folder = tmp_path_factory.mktemp("compose")
    with stacks.running(folder, {}, only=("postgres", "airflow-init", "api-server")) as running:
        yield running


def browser(stack: stacks.Stack, user: str = "") -> httpx.Client:
    """Return the browser of somebody who has logged in by FAB's form; of nobody, one that has not."""
    client = httpx.Client(base_url=stack.url("8080"), follow_redirects=True, timeout=60, trust_env=False)
    if user:
        form = client.get("/auth/login/")
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
        assert token, form.text
        fields = {"csrf_token": token[1], "username": user, "password": stack.password(user)}
        assert client.post("/auth/login/", data=fields).status_code == 200
        assert "_token" in client.cookies
    return client


def upload(client: httpx.Client, token: str, *, site: str = "same-origin") -> httpx.Response:
    """Send the form by which a person uploads a statement."""
    headers = {"sec-fetch-site": site}
    return client.post(
        "/settlement/bank/uploads", data={"token": token, "reason": "by mail"}, files=STATEMENT, headers=headers
    )


def form_token(client: httpx.Client) -> str:
    """Return what the forms that the pages show carry: nothing where they show none."""
    return (re.search(r'name="token" value="([^"]+)"', client.get("/settlement/bank").text) or ["", ""])[1]


def test_who_logs_in_by_fab_looks_or_acts_by_their_role_and_nobody_else_does(stack: stacks.Stack) -> None:
    nobody, viewer, maker, checker = (browser(stack, user) for user in ("", "viewer", "maker", "checker"))
    for path in PAGES:
        assert nobody.get(f"/settlement{path}").status_code == 401
        for person in (viewer, maker, checker):
            assert person.get(f"/settlement{path}").status_code == 200, path
    assert "viewer" in viewer.get("/settlement/").text

    tokens = {client: form_token(client) for client in (viewer, maker, checker)}
    assert tokens[viewer] == ""
    assert tokens[maker] != tokens[checker]
    assert upload(nobody, tokens[maker]).status_code == 401
    assert upload(viewer, tokens[maker]).status_code == 403
    assert upload(maker, "").status_code == 403
    assert upload(maker, tokens[checker]).status_code == 403, "the form of somebody else"
    assert upload(maker, tokens[maker], site="cross-site").status_code == 403
    assert "16 Feb.xml" in upload(maker, tokens[maker]).raise_for_status().text
    assert upload(checker, tokens[checker]).status_code == 409, "exactly these bytes are here already"
    kept = "select name, uploaded_by, reason from ledger.uploads"
    assert stack.ask("settlement_db", "settlement_operators", kept) == [("16 Feb.xml", "maker", "by mail")]


def test_the_pages_are_a_plugin_without_an_import_error_and_their_login_can_make_no_payout(stack: stacks.Stack) -> None:
    admin = browser(stack, "admin")
    assert admin.get("/api/v2/plugins/importErrors").json()["import_errors"] == []
    plugins = {plugin["name"]: plugin for plugin in admin.get("/api/v2/plugins").json()["plugins"]}
    views = [view["destination"] for view in plugins["settlement_pages"]["external_views"]]
    assert views == ["nav", "dag", "dag_run"]
    for table in ("payouts", "payout_files", "transmissions"):
        may = f"select has_table_privilege('ledger.{table}', 'insert')"
        assert stack.ask("settlement_db", "settlement_operators", may) == [(False,)]
