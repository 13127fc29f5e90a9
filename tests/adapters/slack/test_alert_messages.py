"""What people read: each event in both languages, within Slack's limits, harmless, and adding up."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from settlement.adapters.slack import catalogue, renderer
from settlement.domain import breaks, controls
from settlement.domain.alerts import payload
from settlement.domain.alerts.breaks import BreakLine, BreaksOpened
from settlement.domain.alerts.day import (
    BreakTotal,
    ControlBroken,
    CurrencyTotals,
    DayCompleted,
    DayDryRun,
    DayRestated,
    DayStarted,
    MatchTotals,
    PayoutTotals,
    RevisedDate,
)
from settlement.domain.alerts.event import Money
from settlement.domain.alerts.payouts import ApprovalNeeded, TakingBackNeeded
from settlement.domain.alerts.routing import Language
from settlement.domain.alerts.task import MoneyStatus, RunRefused
from settlement_lab.slack import limits

from . import golden_alerts
from .alert_desk import DAY, failed, text_of
from .golden_alerts import EVENTS, krw, renderer_in, row_of

GOLDEN = dict(golden_alerts.messages())


def test_every_event_has_a_golden_file() -> None:
    assert set(EVENTS) == set(payload.EVENTS)
    assert {file.name for file in golden_alerts.FOLDER.iterdir()} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_message_reads_as_its_golden_file(name: str) -> None:
    assert json.loads((golden_alerts.FOLDER / name).read_text(encoding="utf-8")) == json.loads(GOLDEN[name])


@pytest.mark.parametrize("name", GOLDEN)
def test_slack_takes_the_message(name: str) -> None:
    assert_fits(json.loads(GOLDEN[name])["blocks"])


def assert_fits(blocks: list[dict[str, Any]]) -> None:
    assert limits.problems(blocks) == []
    assert limits.characters(blocks) <= limits.ALL_BLOCKS


def leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def places(value: Any) -> Any:
    if isinstance(value, list):
        return [places(item) for item in value]
    return sorted({name for _, name, _, _ in Formatter().parse(str(value)) if name})


def test_both_catalogues_have_the_same_keys_and_places() -> None:
    korean, english = dict(leaves(catalogue.load("ko"))), dict(leaves(catalogue.load("en")))
    assert set(korean) == set(english)
    assert {key: places(value) for key, value in korean.items()} == {
        key: places(value) for key, value in english.items()
    }


def test_every_place_of_an_event_is_one_of_its_fields() -> None:
    extra = {"task.failed": {"next"}}
    for name, entry in catalogue.load("ko")["events"].items():
        known = {field.name for field in dataclasses.fields(payload.EVENTS[name])} | extra.get(name, set())
        used = {place for text in (entry["title"], *entry["lines"]) for place in places(text)}
        assert used <= known, name


def numbers(row: list[dict[str, str]]) -> list[int]:
    return [int(re.sub(r"[^0-9-]", "", cell["text"])) for cell in row[1:]]


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("event", ["day.completed", "day.dry_run"])
def test_the_totals_of_the_day_add_up_as_they_are_shown(language: str, event: str) -> None:
    message = renderer_in(language).message(row_of(EVENTS[event]))
    (table,) = [block for block in message.blocks if block["type"] == "table"]
    received, *parts = [numbers(row) for row in table["rows"][1:]]
    assert received == [98_765_432, 120_050]
    assert [sum(column) for column in zip(*parts, strict=True)] == received


def test_totals_that_do_not_add_up_say_so() -> None:
    day = EVENTS["day.completed"][-1]
    assert isinstance(day, DayCompleted)
    wrong = dataclasses.replace(day.totals[0], fee_amount=day.totals[0].fee_amount + 1)
    message = renderer_in("en").message(row_of((dataclasses.replace(day, totals=(wrong,)),)))
    assert "The totals do not add up: KRW is off by -₩1." in text_of(vars_of(message))


def vars_of(message: renderer.SlackMessage) -> dict[str, Any]:
    return {"text": message.text, "blocks": message.blocks}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_notification_speaks_both_languages(name: str) -> None:
    text = json.loads(GOLDEN[name])["text"]
    first, second = text.split(" / ", 1)
    korean = re.compile("[가-힣]")
    assert bool(korean.search(first)) != bool(korean.search(second))


HOSTILE = (
    "<!channel> <!here> <@U1> <https://evil.example|click> & \x00\u202e ```*_~ xoxb-1-secret password=hunter2"
    " 900101-1234567 postgresql://u:p4ss@db/x ' || '\"\\"
)


@pytest.mark.parametrize("name", EVENTS)
def test_hostile_text_is_harmless_wherever_it_stands(name: str) -> None:
    message = renderer_in("en").message(row_of(tuple(poison(event) for event in EVENTS[name])))
    shown = text_of(vars_of(message)).replace("<!subteam^S0ONCALL>", "")
    assert not re.search(r"<[!@#h]", shown)
    assert not re.search(r"xoxb-1|hunter2|900101|p4ss|\\u0000|\\u202e", shown)
    assert_fits(message.blocks)
    assert renderer.plain(message)


def poison(event: Any) -> Any:
    """Return the event with hostile text in every field that is text."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, str) and field.name not in ("state", "step", "backfill_id"):
            changes[field.name] = HOSTILE * 5
        elif dataclasses.is_dataclass(value) and not isinstance(value, MoneyStatus):
            changes[field.name] = poison(value)
        elif isinstance(value, tuple):
            changes[field.name] = tuple(poison(item) if dataclasses.is_dataclass(item) else item for item in value)
    return dataclasses.replace(event, **changes)


def test_a_megabyte_of_exception_is_three_hundred_characters_in_a_code_block() -> None:
    event = failed(error=HOSTILE * 8_000)
    message = renderer_in("ko").message(row_of((event,)))
    (code,) = [b["text"]["text"] for b in message.blocks if b["type"] == "section" and "```" in b["text"]["text"]]
    assert code.startswith("```") and code.endswith("```") and code.count("```") == 2
    assert len(event.error) <= 300
    assert "&lt;!channel&gt;" in code


def test_ten_thousand_breaks_with_the_longest_names_fit() -> None:
    line = BreakLine(break_id="9" * 500, cause="&" * 500, amount=krw(-(2**62))[0], subject_id="<" * 500)
    event = BreaksOpened(
        settlement_date=DAY, digest="x" * 12, count=10_000, unmatched=krw(2**62) * 50, breaks=(line,) * 10_000
    )
    message = renderer_in("ko").message(row_of((event,)))
    assert_fits(message.blocks)
    assert "… 외 9,990건" in text_of(vars_of(message))


def test_a_day_of_all_currencies_and_causes_fits() -> None:
    day = EVENTS["day.completed"][-1]
    assert isinstance(day, DayCompleted)
    codes = [f"X{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(200)]
    big = 2**62
    full = dataclasses.replace(
        day,
        totals=tuple(
            CurrencyTotals(
                currency=code,
                repayment_count=big,
                received_amount=big,
                distributed_amount=big,
                cost_amount=5,
                fee_amount=7,
            )
            for code in codes
        ),
        payouts=tuple(PayoutTotals(currency=code, paid_count=big, paid_amount=big) for code in codes),
        matches=tuple(
            MatchTotals(currency=c, line_count=big, matched_count=1, line_amount=big, matched_amount=1) for c in codes
        ),
        breaks=tuple(BreakTotal(cause="c" * 300, count=big, amount=krw(big)[0]) for _ in codes),
    )
    assert_fits(renderer_in("en").message(row_of((*EVENTS["day.progress"], full))).blocks)


def test_lines_that_are_matched_by_amount_and_date_alone_are_told_and_none_is_not() -> None:
    day = EVENTS["day.completed"][-1]
    assert isinstance(day, DayCompleted)
    weak = dataclasses.replace(day, matches=(dataclasses.replace(day.matches[0], by_amount_count=3),))
    told = "Of these by amount and date alone, without a reference: 3 (KRW) - to be looked at"
    assert told in text_of(vars_of(renderer_in("en").message(row_of((*EVENTS["day.progress"], weak)))))
    assert told not in text_of(vars_of(renderer_in("en").message(row_of((*EVENTS["day.progress"], day)))))


def test_a_backfill_of_two_years_shows_its_newest_days_and_how_many_more() -> None:
    start = date(2024, 1, 2)
    days = tuple(
        DayStarted(settlement_date=start + timedelta(days=number), backfill_id="7", repayment_count=1)
        for number in range(500)
    )
    message = renderer_in("en").message(row_of(days))
    assert_fits(message.blocks)
    assert "and 401 more" in text_of(vars_of(message))


def test_a_table_of_a_thousand_failed_shards_fits() -> None:
    rows = [row_of((failed("compute.distribute", map_index=index, code="&" * 200),)) for index in range(1_000)]
    message = renderer_in("en").message(rows[0], members=rows[1:])
    assert_fits(message.blocks)
    assert "1,000 failures of the same kind" in text_of(vars_of(message))


def test_an_event_of_another_version_is_told_all_the_same() -> None:
    row = dataclasses.replace(
        row_of(EVENTS["task.failed"]), event="moon.full", payload={"a": {"event": "moon.full", "fields": {}}}
    )
    assert "moon.full" in renderer_in("en").message(row).text


def test_a_link_with_a_password_is_no_button() -> None:
    message = renderer_in("en", airflow_url=None, runbook_url=None).message(
        row_of((failed(log_url="http://ops:s3cret@airflow/log"),))
    )
    assert not [block for block in message.blocks if block["type"] == "actions"]


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "en",
            [
                "Settled dates would change, as listed: a run does it if it is given a reason. The table is what the"
                " date would come to.",
                "Dates 2026-02-16 (Mon) revision 2",
                "Difference for investors -₩1,603, net",
                "Would be taken back ₩1,603, which investors were paid: a second person approves it first.",
            ],
        ),
        (
            "ko",
            [
                "정산이 끝난 날짜가 아래와 같이 바뀝니다. 사유를 적어 실행하면 반영됩니다. 표는 이 정산일이 갖게 될"
                " 금액입니다.",
                "바뀌는 정산일 2026-02-16 (월) 2차",
                "투자자 순차액 -₩1,603",
                "회수될 금액 ₩1,603. 이미 지급된 돈이므로 먼저 두 번째 사람이 승인해야 합니다.",
            ],
        ),
    ],
)
def test_a_dry_run_says_which_settled_dates_would_change_and_by_how_much(language: str, lines: list[str]) -> None:
    event = DayDryRun(
        settlement_date=DAY,
        run_id="r",
        finding="would_restate",
        dates=(RevisedDate(settlement_date=DAY, revision=2),),
        difference=krw(-1_603),
        taken_back=krw(1_603),
    )
    read = renderer.plain(renderer_in(language, airflow_url=None).message(row_of((event,)))).splitlines()
    assert read[2:] == lines


def test_a_restatement_of_a_year_shows_its_first_dates_and_how_many_more() -> None:
    dates = tuple(RevisedDate(settlement_date=date(2026, 1, 1) + timedelta(days=n), revision=2) for n in range(250))
    event = DayRestated(settlement_date=DAY, run_id="r", dates=dates, loan_count=1, loans=("L1",))
    message = renderer_in("en").message(row_of((event,)))
    assert_fits(message.blocks)
    shown = renderer.plain(message)
    assert "2026-01-12 (Mon) revision 2 · … and 238 more\n" in shown
    assert "Loans run again 1: L1\n" in shown


def test_a_control_that_broke_before_anything_was_settled_leaves_nothing_that_stands() -> None:
    event = ControlBroken(settlement_date=DAY, control="arithmetic", problem="x")
    assert "What stands" not in renderer.plain(renderer_in("en").message(row_of((event,))))


def test_a_clock_that_was_set_is_said() -> None:
    message = renderer_in("en", is_now_set=True).message(row_of(EVENTS["day.completed"]))
    assert "SETTLEMENT_NOW" in text_of(vars_of(message))


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (1_234, "KRW", "₩1,234"),
        (-5, "USD", "-$0.05"),
        (123_456, "USD", "$1,234.56"),
        (100_000, "CHF", "1,000.00 CHF"),
        (-1_234_567, "IQD", "-1,234.567 IQD"),
        (7, "???", "7 ???"),
        (0, "KRW", "₩0"),
    ],
)
def test_amounts_are_written_as_people_write_them(amount: int, currency: str, written: str) -> None:
    assert catalogue.money(Money(amount=amount, currency=currency)) == written


def test_a_hundred_per_cent_is_said_only_when_nothing_is_missing() -> None:
    assert catalogue.percent(999_999, 1_000_000) == "99.9%"
    assert catalogue.percent(3, 3) == catalogue.percent(0, 0) == "100%"


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_comes_back_from_the_outbox_as_it_was(name: str) -> None:
    for event in EVENTS[name]:
        fields = json.loads(json.dumps(payload.to_fields(event)))
        assert payload.from_fields(event.name, fields) == event


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_break_and_every_control_has_a_name_that_people_read(language: Language) -> None:
    words = catalogue.load(language)
    assert set(breaks.SIDES) - set(words["causes"]) == set()
    every = (*controls.CONTROLS, *controls.CUSTODY_CONTROLS, *controls.MOVEMENT_CONTROLS)
    named = {control.__name__ for control in every}
    assert named - set(words["controls"]) == set()


@pytest.mark.parametrize(
    ("language", "of_payout", "of_receipt"),
    [
        ("ko", "은행에 없는 지급", "은행에 없는 입금"),
        ("en", "payout missing at the bank", "receipt missing at the bank"),
    ],
)
def test_what_is_missing_at_the_bank_is_called_by_what_it_is(language: Any, of_payout: str, of_receipt: str) -> None:
    words = catalogue.Words(language=language, zone=ZoneInfo("Asia/Seoul"))
    assert words.cause("missing_at_bank", "payout") == of_payout
    assert words.cause("missing_at_bank", "repayment") == of_receipt
    assert words.cause("a_cause_of_tomorrow", "repayment") == "a_cause_of_tomorrow"


def test_a_command_is_told_as_people_type_it() -> None:
    telling = renderer_in("en", program="docker compose exec watch settlement")
    undelivered = telling.message(row_of(EVENTS["alerts.undelivered"]))
    assert "`docker compose exec watch settlement alerts --test`" in str(undelivered.blocks)
    error = "RequestRefused: The books are old: run `settlement migrate`"
    refused = RunRefused(settlement_date=DAY, run_id="r", try_number=1, error=error)
    assert "run `docker compose exec watch settlement migrate`" in str(telling.message(row_of((refused,))).blocks)


def test_an_english_message_shows_no_korean_but_in_the_notification_that_has_both() -> None:
    for name, content in GOLDEN.items():
        blocks = str(json.loads(content)["blocks"])
        assert bool(re.search("[가-힣]", blocks)) == name.endswith(".ko.json"), name


def test_a_second_person_is_asked_in_airflow_what_the_message_says_and_until_when_relative_to_the_question() -> None:
    (asked,) = EVENTS["approval.needed"]
    assert isinstance(asked, ApprovalNeeded)
    subject, body = renderer_in("en").question(asked, open_for=timedelta(hours=12))
    assert subject == "Settlement of 2026-02-16 (Mon): pay 812 payouts, ₩6,000,000,000?"
    assert body.splitlines() == [
        "- **Payouts** 812, ₩6,000,000,000",
        "- **Distributed on this date** ₩6,012,000,000",
        "- **Limit** ₩5,000,000,000",
        "- **Usual on this weekday** ₩4,000,000,000 (median of 8 weeks), of which this is 150%",
        "- **Largest** I0257 ₩311,462,000 · I0003 ₩300,000,000",
        "- **Open for** 12 h 0 min from when it was asked. Then it counts as rejected.",
        "",
        "Approval [2026-02-16-1] is for exactly these payouts.",
    ]
    subject, body = renderer_in("ko").question(asked, open_for=timedelta(hours=12))
    assert subject == "2026-02-16 (월) 정산: 지급 812건, ₩6,000,000,000을 승인할까요?"
    assert "- **같은 요일 통상** ₩4,000,000,000 (최근 8주 중앙값), 이번은 그 150%" in body


def test_a_second_person_is_asked_whether_what_was_paid_is_taken_back() -> None:
    (asked,) = EVENTS["taking_back.needed"]
    assert isinstance(asked, TakingBackNeeded)
    subject, body = renderer_in("en").question(asked, open_for=timedelta(hours=12))
    assert subject == "Settlement of 2026-02-16 (Mon): take back ₩1,603 that was paid out?"
    assert body.splitlines() == [
        "- **Dates** 2026-02-16 (Mon) revision 2 · 2026-02-20 (Fri) revision 3",
        "- **Difference for investors** -₩1,603, net",
        "- **Would be taken back** ₩1,603, which was paid out.",
        "- **Open for** 12 h 0 min from when it was asked. Then it counts as rejected.",
        "",
        "Approval [20260216-0f343b0931ab12cd-R1] is for exactly these changes. Rejected, what was settled stands and"
        " the task fails.",
    ]
    subject, body = renderer_in("ko").question(asked, open_for=timedelta(hours=12))
    assert subject == "2026-02-16 (월) 정산: 이미 지급된 ₩1,603을 회수할까요?"
    assert "거절하면 기존 정산이 그대로 유지되고 작업은 실패로 끝납니다." in body
