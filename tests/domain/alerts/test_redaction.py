"""What must not leave the house does not."""

from __future__ import annotations

import time

import pytest
from settlement.domain.alerts import redaction


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://app:s3cret@db:5432/x", "postgresql+psycopg://***@db:5432/x"),
        ("token xoxb-123-abc", "token ***"),
        ("Authorization: Bearer abcdef123456", "Authorization: *** ***"),
        ('{"password": "hunter2", "user": "a"}', '{"password": ***, "user": "a"}'),
        ("api_key=abc&x=1", "api_key=***&x=1"),
        ("비밀번호: 1234", "비밀번호: ***"),
        ("홍길동 900101-1234567", "홍길동 ***"),
        ("주민번호 9001011234567", "주민번호 ***"),
        ("외국인 900101 5234567", "외국인 ***"),
        ("mail hong@example.co.kr now", "mail *** now"),
        ("account 110-234-567890", "account ***-7890"),
        ("card 4111 1111 1111 1111", "card ***-1111"),
        ("01012345678", "***-5678"),
        ("on 2026-02-16 at 06:00", "on 2026-02-16 at 06:00"),
        ("line 12345 of 99999", "line 12345 of 99999"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/***"),
        ("a\x00b\x1b[31m\u202ec", "ab[31mc"),
    ],
)
def test_free_text_is_masked(text: str, shown: str) -> None:
    assert redaction.free_text(text) == shown


def test_a_megabyte_becomes_three_hundred_characters_at_once() -> None:
    shown = redaction.free_text("x password=hunter2 " * 55_000)
    assert len(shown) <= 300 and "hunter2" not in shown


def test_a_secret_on_the_edge_of_what_is_looked_at_does_not_show() -> None:
    text = "y " * 1_995 + "password=" + "z" * 100
    assert "z" not in redaction.free_text(text, keep=10_000)


def test_our_own_ids_stay_readable() -> None:
    assert redaction.credentials("P20260216-0000012345-KRW-1") == "P20260216-0000012345-KRW-1"


@pytest.mark.parametrize(
    "piece", ["9", "a", "a.", "a-", "password", "x@", "://", "xoxb-", "eyJ", "1-", " ", "=", "token ="]
)
def test_no_text_keeps_the_reader_waiting(piece: str) -> None:
    begun = time.monotonic()
    redaction.free_text(piece * 4_000)
    assert time.monotonic() - begun < 20  # what backtracks takes hours
