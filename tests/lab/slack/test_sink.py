from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import httpx
import pytest
from settlement_lab.slack import sink as slack_sink
from settlement_lab.slack import view
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

CHANNEL = "C0SETTLE"


def client(sink: slack_sink.Sink) -> WebClient:
    return WebClient(token="xoxb-test", base_url=sink.base_url, retry_handlers=[])


def fault(sink: slack_sink.Sink, **fields: Any) -> None:
    httpx.post(f"{sink.url}/_sink/faults", json=[fields]).raise_for_status()


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def test_the_bot_introduces_itself(slack: slack_sink.Sink) -> None:
    answer = client(slack).auth_test()
    assert (answer["ok"], answer["user_id"], answer["bot_id"]) == (True, "U0SETTLE", "B0SETTLE")


def test_a_thread_is_read_oldest_first_and_a_channel_newest_first(slack: slack_sink.Sink) -> None:
    web = client(slack)
    root = web.chat_postMessage(channel=CHANNEL, text="day")["ts"]
    web.chat_postMessage(channel=CHANNEL, text="quiet reply", thread_ts=root)
    web.chat_postMessage(channel=CHANNEL, text="loud reply", thread_ts=root, reply_broadcast=True)
    web.chat_postMessage(channel=CHANNEL, text="next day")
    history = web.conversations_history(channel=CHANNEL)["messages"]
    assert [message["text"] for message in history] == ["next day", "loud reply", "day"]
    assert history[2]["reply_count"] == 2
    thread = web.conversations_replies(channel=CHANNEL, ts=root)["messages"]
    assert [message["text"] for message in thread] == ["day", "quiet reply", "loud reply"]


def test_an_edited_message_keeps_its_place_and_the_blocks_that_the_edit_does_not_name(slack: slack_sink.Sink) -> None:
    web = client(slack)
    ts = web.chat_postMessage(channel=CHANNEL, text="open", blocks=[section("open")])["ts"]
    assert web.chat_update(channel=CHANNEL, ts=ts, text="settled")["ts"] == ts
    (message,) = web.conversations_history(channel=CHANNEL)["messages"]
    assert (message["text"], message["blocks"], "edited" in message) == ("settled", [section("open")], True)
    with pytest.raises(SlackApiError, match="message_not_found"):
        web.chat_update(channel=CHANNEL, ts="1.000000", text="settled")


def test_metadata_comes_back_only_when_asked_for(slack: slack_sink.Sink) -> None:
    web = client(slack)
    metadata = {"event_type": "settlement", "event_payload": {"dedupe_key": "2026-02-12:summary"}}
    web.chat_postMessage(channel=CHANNEL, text="day", metadata=metadata)
    assert "metadata" not in web.conversations_history(channel=CHANNEL)["messages"][0]
    asked = web.conversations_history(channel=CHANNEL, include_all_metadata=True)["messages"][0]
    assert asked["metadata"] == metadata


def test_history_comes_in_pages_and_between_two_moments(slack: slack_sink.Sink) -> None:
    web = client(slack)
    stamps = [web.chat_postMessage(channel=CHANNEL, text=str(number))["ts"] for number in range(5)]
    first = web.conversations_history(channel=CHANNEL, limit=3)
    assert [message["text"] for message in first["messages"]] == ["4", "3", "2"]
    rest = web.conversations_history(channel=CHANNEL, limit=3, cursor=first["response_metadata"]["next_cursor"])
    assert ([message["text"] for message in rest["messages"]], rest["has_more"]) == (["1", "0"], False)
    between = web.conversations_history(channel=CHANNEL, oldest=stamps[1], latest=stamps[3])["messages"]
    assert [message["text"] for message in between] == ["2"]
    closed = web.conversations_history(channel=CHANNEL, oldest=stamps[1], latest=stamps[3], inclusive=True)["messages"]
    assert [message["text"] for message in closed] == ["3", "2", "1"]


def test_a_permalink_leads_to_the_message_on_the_page(slack: slack_sink.Sink) -> None:
    web = client(slack)
    ts = web.chat_postMessage(channel=CHANNEL, text="day")["ts"]
    link = web.chat_getPermalink(channel=CHANNEL, message_ts=ts)["permalink"]
    anchor = httpx.get(link).headers["location"].removeprefix("/#")
    assert f'id="{anchor}"' in httpx.get(slack.url).text


def test_a_file_is_uploaded_in_three_steps_and_can_be_read_again(slack: slack_sink.Sink) -> None:
    web = client(slack)
    root = web.chat_postMessage(channel=CHANNEL, text="day")["ts"]
    web.files_upload_v2(
        channel=CHANNEL, thread_ts=root, filename="요약.xlsx", content=b"PK\x03", title="요약", initial_comment="sheets"
    )
    reply = web.conversations_replies(channel=CHANNEL, ts=root)["messages"][1]
    assert (reply["text"], reply["files"][0]["title"], reply["files"][0]["size"]) == ("sheets", "요약", 3)
    assert httpx.get(f"{slack.url}/files/{reply['files'][0]['id']}").content == b"PK\x03"


def test_what_was_said_survives_a_restart(tmp_path: Path) -> None:
    with slack_sink.running(tmp_path) as sink:
        first = client(sink).chat_postMessage(channel=CHANNEL, text="day")["ts"]
    with slack_sink.running(tmp_path) as sink:
        second = client(sink).chat_postMessage(channel=CHANNEL, text="next")["ts"]
        assert [root["text"] for root, _ in sink.conversation(CHANNEL)] == ["day", "next"]
    assert second > first


@pytest.mark.parametrize(
    ("blocks", "pointer"),
    [
        ([section("x")] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "/blocks/0/text"),
        ([section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}], "/blocks/0/fields"),
        ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}], "/blocks/0/fields/0"),
        ([{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101}], "/blocks/0/rows"),
        ([{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]}], "/blocks/0/rows/0"),
        ([{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}] * 2, "only_one_table_allowed"),
        ([{"type": "dancing"}], "unsupported type: dancing [json-pointer:/blocks/0/type]"),
    ],
)
def test_blocks_above_the_limits_are_refused_with_a_pointer(
    slack: slack_sink.Sink, blocks: list[dict[str, Any]], pointer: str
) -> None:
    with pytest.raises(SlackApiError) as refused:
        client(slack).chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)
    assert refused.value.response["error"] == "invalid_blocks"
    assert pointer in refused.value.response["errors"][0]


def test_blocks_at_the_limits_are_taken(slack: slack_sink.Sink) -> None:
    table = {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 20] * 100}
    header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}
    blocks = [header, section("x" * 3000), table, *[section("x")] * 47]
    assert client(slack).chat_postMessage(channel=CHANNEL, text="x" * 40_000, blocks=blocks)["ok"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": CHANNEL, "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": CHANNEL, "blocks": [section("x" * 2_900)] * 5}, "msg_blocks_too_long"),
        ({"channel": CHANNEL}, "no_text"),
        ({"channel": "#settlement", "text": "x"}, "channel_not_found"),
        ({"channel": CHANNEL, "text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"channel": CHANNEL, "text": "x", "metadata": {"key": 1}}, "invalid_metadata_format"),
    ],
)
def test_a_call_is_refused_as_slack_refuses_it(slack: slack_sink.Sink, arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(SlackApiError) as refused:
        client(slack).api_call("chat.postMessage", json=arguments)
    assert refused.value.response["error"] == error
    assert slack.conversation(CHANNEL) == []


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("nonsense", "invalid_auth")])
def test_a_wrong_token_is_refused(slack: slack_sink.Sink, token: str, error: str) -> None:
    answer = httpx.post(slack.base_url + "auth.test", headers={"Authorization": f"Bearer {token}"} if token else {})
    assert answer.json() == {"ok": False, "error": error}


def test_slack_asks_to_wait_once_and_then_takes_the_message(slack: slack_sink.Sink) -> None:
    fault(slack, how="rate_limited", method="chat.postMessage", seconds=7)
    with pytest.raises(SlackApiError) as refused:
        client(slack).chat_postMessage(channel=CHANNEL, text="day")
    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "7")
    assert client(slack).chat_postMessage(channel=CHANNEL, text="day")["ok"]


@pytest.mark.parametrize(("how", "kept"), [("lost_answer", 1), ("lost_request", 0)])
def test_a_connection_that_breaks_tells_nobody_whether_the_message_was_taken(
    slack: slack_sink.Sink, how: str, kept: int
) -> None:
    fault(slack, how=how, method="chat.postMessage")
    with pytest.raises((http.client.HTTPException, OSError)):
        client(slack).chat_postMessage(channel=CHANNEL, text="day")
    assert len(slack.conversation(CHANNEL)) == kept


@pytest.mark.parametrize(
    ("mrkdwn", "html"),
    [
        ("*₩1,234* paid", "<b>₩1,234</b> paid"),
        ("_odd_ ~gone~ `code *x*`", "<i>odd</i> <s>gone</s> <code>code *x*</code>"),
        ("2 * 3 * 4 and a_b_c", "2 * 3 * 4 and a_b_c"),
        ("&lt;script&gt; &amp; <script>", '&lt;script&gt; &amp; <a title="script">script</a>'),
        ("<https://bank.kr/?a=1&amp;b=2|the *log*>", ">the *log*</a>"),
        ("<javascript:alert(1)|click>", '<a title="javascript:alert(1)">click</a>'),
        ("<!channel> :warning: now", '<span class="mention">@channel</span> ⚠️ now'),
        ("```a\n<b>```", "<pre>a\n&lt;b&gt;</pre>"),
        ("&gt; quoted", "<blockquote>quoted</blockquote>"),
    ],
)
def test_marked_up_text_becomes_safe_html(slack: slack_sink.Sink, mrkdwn: str, html: str) -> None:
    client(slack).chat_postMessage(channel=CHANNEL, text=mrkdwn)
    assert html in httpx.get(slack.url).text


def test_every_kind_of_block_is_on_the_page_and_none_can_put_markup_there(slack: slack_sink.Sink) -> None:
    evil = "<img src=x>"
    words = [{"type": "text", "text": "a&b"}, {"type": "text", "text": evil, "style": {"bold": True, "code": True}}]
    link = {"type": "link", "url": "javascript:alert(1)", "text": "no link"}
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "log"},
        "url": 'https://x.kr/"><img',
        "style": "danger",
    }
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": f":bank: {evil}"}},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [*words, link]}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "_late_"}]},
        {"type": "actions", "elements": [button]},
        {"type": "table", "rows": [[{"type": "raw_text", "text": evil}]], "column_settings": [{"align": "right"}]},
    ]
    client(slack).chat_postMessage(channel=CHANNEL, text="unseen", blocks=blocks)
    shown = httpx.get(slack.url).text
    assert '<div class="header">🏦 &lt;img src=x&gt;</div>' in shown
    assert (
        '<div>a&amp;b<b><code>&lt;img src=x&gt;</code></b><a class="" title="javascript:alert(1)">no link</a>' in shown
    )
    assert "<span><i>late</i></span>" in " ".join(shown.split()).replace(" </span>", "</span>")
    assert 'class="button danger" href="https://x.kr/&#34;&gt;&lt;img"' in shown
    assert '<td style="text-align:right">&lt;img src=x&gt;</td>' in shown
    assert "<img" not in shown
    assert "unseen" not in shown


def test_a_file_name_cannot_put_markup_on_the_page(slack: slack_sink.Sink) -> None:
    client(slack).files_upload_v2(channel=CHANNEL, filename="x", content=b"x", title="<img src=x onerror=alert(1)>")
    assert "<img" not in httpx.get(slack.url).text


def test_the_terminal_shows_blocks_tables_and_threads(slack: slack_sink.Sink) -> None:
    web = client(slack)
    rows = [["항목", "amount"], ["수수료", "800"]]
    table = {
        "type": "table",
        "rows": [[{"type": "raw_text", "text": text} for text in row] for row in rows],
        "column_settings": [{}, {"align": "right"}],
    }
    header = {"type": "header", "text": {"type": "plain_text", "text": ":white_check_mark: 2026-02-12"}}
    root = web.chat_postMessage(
        channel=CHANNEL, text="unseen", blocks=[header, section("*paid* <http://x.kr|log>"), table]
    )["ts"]
    web.chat_postMessage(channel=CHANNEL, text="a &amp; b", thread_ts=root)
    assert view.render_text(slack.conversation(CHANNEL)).splitlines() == [
        "settlement",
        "  ✅ 2026-02-12",
        "  paid log (http://x.kr)",
        "  항목    amount",
        "  수수료     800",
        "",
        "    │ settlement",
        "    │   a & b",
    ]
