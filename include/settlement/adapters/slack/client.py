"""Talks to Slack through the provider's hook and tells apart what its answers mean for a message.

The hook gets an empty list of retry handlers on purpose: those of slack_sdk post again after a reset connection or a
500, when the first message may well stand in the channel (`chat.postMessage` has no idempotency key), and wait for
`Retry-After` inside the call. Whether, when and after which question to post again is the sender's decision.
Airflow is imported only when there is something to send: importing it takes seconds.
"""

import http.client
import os
import re
import socket
import sys
import urllib.error
from collections.abc import Mapping
from typing import Any, Protocol

import httpx
import structlog

log = structlog.get_logger(__name__)

CONNECTION = "settlement_slack"
SCOPES = frozenset({"chat:write", "channels:history", "groups:history", "files:write"})

# Answers that say nothing about whether the message was posted, like a 5xx.
_UNCLEAR = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
# Answers about the token or the channel: no other message would fare better.
DESTINATION_ERRORS = frozenset(
    {
        "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission",
        "missing_scope", "not_allowed_token_type", "org_login_required", "ekm_access_denied", "access_denied",
        "team_access_not_granted", "channel_not_found", "not_in_channel", "is_archived", "restricted_action",
        "restricted_action_read_only_channel", "restricted_action_thread_only_channel", "team_not_found",
        "accesslimited", "enterprise_is_restricted", "invalid_channel", "is_inactive",
    }
)  # fmt: skip
_CODE = re.compile(r"[a-z][a-z0-9_]{0,79}")


class SlackError(Exception):
    """Slack did not take the call. `code` is its own word for it, or ours for a transport error."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Limited(SlackError):
    """Too many calls: nothing was posted; try again after so many seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__("ratelimited")


class Unreachable(SlackError):
    """No connection came about: nothing was posted."""


class Unanswered(SlackError):
    """The request may have arrived, and may still be worked on: no answer came."""


class Unclear(SlackError):
    """Slack answered that something broke: whether the message was posted is not known."""


class CallRefused(SlackError):
    """Slack will not take this call, however often it is made."""

    @property
    def is_destination(self) -> bool:
        """Whether the channel or the token is the reason, so that no message can pass."""
        return self.code in DESTINATION_ERRORS


class Slack(Protocol):
    """The Web API as the sender needs it."""

    def call(
        self, method: str, arguments: Mapping[str, Any], *, timeout: float, is_read: bool = False
    ) -> dict[str, Any]:
        """Return the answer. Raises a SlackError."""

    def identity(self, *, timeout: float) -> tuple[dict[str, Any], frozenset[str]]:
        """Return who the token is and which scopes it has (none if Slack does not say). Raises a SlackError."""

    def upload(self, url: str, content: bytes, *, timeout: float) -> None:
        """Put a file's bytes where `files.getUploadURLExternal` said. Raises a SlackError."""


class HookSlack:
    """Slack through `SlackHook` and the connection `settlement_slack`."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook
        self._client = hook.client

    def call(
        self, method: str, arguments: Mapping[str, Any], *, timeout: float, is_read: bool = False
    ) -> dict[str, Any]:
        return dict(self._answer(method, arguments, timeout=timeout, is_read=is_read).data)

    def identity(self, *, timeout: float) -> tuple[dict[str, Any], frozenset[str]]:
        answer = self._answer("auth.test", {}, timeout=timeout, is_read=True)
        granted = {name.lower(): value for name, value in answer.headers.items()}.get("x-oauth-scopes", "")
        return dict(answer.data), frozenset(filter(None, (scope.strip() for scope in granted.split(","))))

    def upload(self, url: str, content: bytes, *, timeout: float) -> None:
        try:
            answer = httpx.post(url, content=content, timeout=timeout, follow_redirects=True)
        except httpx.ConnectError as error:
            raise Unreachable(_snake(type(error).__name__)) from error
        except httpx.HTTPError as error:
            raise Unanswered(_snake(type(error).__name__)) from error
        if answer.status_code == 429:
            raise Limited(_seconds(answer.headers))
        if answer.is_error:
            raise Unclear(f"http_{answer.status_code}")

    def _answer(self, method: str, arguments: Mapping[str, Any], *, timeout: float, is_read: bool) -> Any:
        from slack_sdk.errors import SlackApiError, SlackClientError

        self._client.timeout = timeout
        try:
            # Slack's reading methods take no JSON bodies.
            return (
                self._hook.call(method, http_verb="GET", params=_plain(arguments))
                if is_read
                else self._hook.call(method, json=dict(arguments))
            )
        except SlackApiError as error:
            raise _meaning(error.response) from error
        except (SlackClientError, ValueError) as error:
            raise Unclear(_snake(type(error).__name__)) from error
        except (OSError, http.client.HTTPException) as error:
            raise transport_error(error) from error


def from_connection() -> HookSlack | None:
    """Return Slack as the connection `settlement_slack` names it, or None if there is no such connection.

    In a plain process only the environment is asked, before anything of Airflow is imported.
    """
    if f"AIRFLOW_CONN_{CONNECTION.upper()}" not in os.environ and "airflow.sdk" not in sys.modules:
        return None
    from airflow.providers.common.compat.sdk import AirflowNotFoundException
    from airflow.providers.slack.hooks.slack import SlackHook

    hook = SlackHook(slack_conn_id=CONNECTION, retry_handlers=[])
    try:
        return HookSlack(hook)
    except AirflowNotFoundException:
        return None


def transport_error(error: Exception) -> SlackError:
    """Return what a broken connection means: refused before anything was sent, or anything else."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    code = _snake(type(reason).__name__ if isinstance(reason, BaseException) else "UrlError")
    if isinstance(reason, ConnectionRefusedError | socket.gaierror):
        return Unreachable(code)
    return Unanswered(code)


def _meaning(response: Any) -> SlackError:
    status, data = response.status_code, response.data
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return Limited(_seconds(response.headers))
    if status >= 500 or code in _UNCLEAR:
        return Unclear(code if code in _UNCLEAR else f"http_{status}")
    if status == 200 and not _CODE.fullmatch(code):
        return Unclear("not_an_answer")
    # Somebody in between (a proxy, a gateway) answered instead of Slack.
    return CallRefused(code) if code else Unreachable(f"http_{status}")


def _seconds(headers: Mapping[str, str] | Any) -> float:
    for name, value in dict(headers).items():
        if name.lower() == "retry-after":
            try:
                return min(max(float(value), 0.0), 3600.0)
            except ValueError:
                break
    return 1.0


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in arguments.items()}


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
