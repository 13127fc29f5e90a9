"""Talks to Slack through the provider's hook and tells apart what its answers mean for a message.

The hook gets an empty list of retry handlers on purpose: those of slack_sdk post again after a reset connection or a
500, when the first message may well stand in the channel (`chat.postMessage` has no idempotency key), and wait for
`Retry-After` inside the call. Whether, when and after which question to post again is the sender's decision.
Only Slack's own JSON is Slack's answer. Whatever else comes back (a proxy's page, a login page, half an answer) says
nothing about the message, and none of its words leave this module: the status does, or what kind of thing it was.
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
_UNCLEAR = frozenset(
    {
        "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org",
        # The bytes of a file did not arrive, though somebody took them with a 200: they are sent anew.
        "file_not_found", "file_update_failed",
    }
)  # fmt: skip
# The message, or the one it would be a reply to, is no longer there: somebody has deleted it.
DELETED_ERRORS = frozenset({"message_not_found", "thread_not_found"})
# What a method's answer holds when it comes from Slack.
_HOLDS: Mapping[str, tuple[str, type]] = {
    "auth.test": ("user_id", str),
    "chat.postMessage": ("ts", str),
    "chat.update": ("ts", str),
    "conversations.history": ("messages", list),
    "conversations.replies": ("messages", list),
    "files.getUploadURLExternal": ("upload_url", str),
    "files.completeUploadExternal": ("files", list),
}
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
    """Too many calls: try again after so many seconds. If Slack itself says so, nothing was posted."""

    def __init__(self, retry_after: float, *, is_slacks: bool) -> None:
        self.retry_after, self.is_slacks = retry_after, is_slacks
        super().__init__("ratelimited" if is_slacks else "http_429")


class Unreachable(SlackError):
    """No connection came about: nothing was posted."""


class Unanswered(SlackError):
    """The request may have arrived, and may still be worked on: no answer came, or none of Slack's."""


class Unclear(SlackError):
    """Slack answered that something broke: whether the message was posted is not known."""


class CallRefused(SlackError):
    """Slack will not take this call, however often it is made."""

    @property
    def is_deleted(self) -> bool:
        """Whether the reason is that somebody has deleted the message, or the one above it."""
        return self.code in DELETED_ERRORS

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
            answer = httpx.post(url, content=content, timeout=timeout)
        except httpx.ConnectError as error:
            raise Unreachable(_snake(type(error).__name__)) from error
        except httpx.HTTPError as error:
            raise Unanswered(_snake(type(error).__name__)) from error
        if answer.status_code != 200:
            raise _foreign(answer.status_code, answer.headers)

    def _answer(self, method: str, arguments: Mapping[str, Any], *, timeout: float, is_read: bool) -> Any:
        from slack_sdk.errors import SlackApiError

        self._client.timeout = timeout
        try:
            # Slack's reading methods take no JSON bodies.
            answer = (
                self._hook.call(method, http_verb="GET", params=_plain(arguments))
                if is_read
                else self._hook.call(method, json=dict(arguments))
            )
        except SlackApiError as error:
            raise _meaning(error.response) from error
        except (OSError, http.client.HTTPException) as error:
            raise transport_error(error) from error
        except Exception as error:
            # The SDK stumbles over what is not Slack's in many ways: a list, no UTF-8, an unknown character set.
            raise Unanswered(_snake(type(error).__name__)) from error
        data = answer.data if isinstance(answer.data, dict) else {}
        name, kind = _HOLDS[method]
        if data.get("ok") is not True or not isinstance(data.get(name), kind):
            raise _foreign(answer.status_code, answer.headers)
        return answer


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
    """Return what it means that the SDK found no `ok`, by Slack's own word if the answer is Slack's."""
    status = response.status_code
    data = response.data if isinstance(response.data, dict) else {}
    code = data.get("error")
    if data.get("ok") is not False or not isinstance(code, str) or not _CODE.fullmatch(code):
        return _foreign(status, response.headers)
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return Limited(_seconds(response.headers) or 1.0, is_slacks=True)
    if code in _UNCLEAR:
        return Unclear(code)
    return CallRefused(code) if status < 500 else Unanswered(f"http_{status}")


def _foreign(status: int, headers: Mapping[str, str]) -> SlackError:
    """Return what an answer means that is not Slack's own JSON: the request may have arrived behind who answered."""
    wait = _seconds(headers)
    if status == 429 and wait is not None:
        return Limited(wait, is_slacks=False)
    return Unanswered("not_an_answer" if status == 200 else f"http_{status}")


def _seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long to wait as the answer says in whole seconds, an hour at most; None if it does not."""
    said = {name.lower(): value for name, value in dict(headers).items()}.get("retry-after", "")
    return float(min(int(said), 3_600)) if re.fullmatch(r"[0-9]{1,9}", said) else None


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in arguments.items()}


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
