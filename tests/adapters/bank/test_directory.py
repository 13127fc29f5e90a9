"""Two folders as on an SFTP mount: nothing half-written is seen or read, nothing is read twice, nothing is lost."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.channels.folders import DirectoryBank
from settlement.adapters.bank.formats import pain001
from settlement.domain.bank.messages import FileAnswer, SubmissionOutcome
from settlement.domain.bank.statement import Statement
from settlement.domain.errors import Refused, Unavailable

from .mock_bank import MockBank, payment, payment_file
from .readings import parts

Folders = tuple[Path, Path]
"""The one that we drop into, and the one that we pick up from."""


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    drop, pickup = tmp_path / "in", tmp_path / "out"
    drop.mkdir()
    pickup.mkdir()
    return drop, pickup


def channel(folders: Folders, settle_seconds: float = 0.0) -> DirectoryBank:
    return DirectoryBank(*folders, settle_seconds=settle_seconds)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------------------------------------------------- dropping


def test_a_file_appears_whole_under_its_own_name(folders: Folders) -> None:
    submission = channel(folders).submit("F-1", b"<Document/>")
    assert submission.outcome is SubmissionOutcome.RECEIVED
    assert {path.name: path.read_bytes() for path in folders[0].iterdir()} == {"F-1.xml": b"<Document/>"}


def test_a_reader_never_sees_half_a_file(folders: Folders) -> None:
    content, seen, stop = b"x" * 4_000_000, set(), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for path in folders[0].glob("[!.]*"):
                seen.add(path.stat().st_size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(10):
        channel(folders).submit(f"F-{number}", content)
    stop.set()
    watcher.join()
    assert seen <= {len(content)}


def test_the_same_file_again_while_it_waits_is_the_same_file(folders: Folders) -> None:
    channel(folders).submit("F-1", b"one")
    assert channel(folders).submit("F-1", b"one").outcome is SubmissionOutcome.RECEIVED
    assert channel(folders).submit("F-1", b"two").outcome is SubmissionOutcome.UNKNOWN
    assert (folders[0] / "F-1.xml").read_bytes() == b"one"


def test_a_folder_that_is_not_there_proves_that_nothing_was_sent(tmp_path: Path) -> None:
    submission = DirectoryBank(tmp_path / "unmounted", tmp_path / "out").submit("F-1", b"one")
    assert submission.outcome is SubmissionOutcome.NOT_SENT
    assert "unmounted" in submission.text


@pytest.mark.parametrize("file_id", ["../F-1", "F/1", "", ".hidden", "x" * 36])
def test_a_file_id_cannot_leave_the_folder(folders: Folders, file_id: str) -> None:
    with pytest.raises(Refused, match="name of a file"):
        channel(folders).submit(file_id, b"one")


def test_one_folder_for_both_ways_is_refused(folders: Folders) -> None:
    with pytest.raises(Refused, match="two folders"):
        DirectoryBank(folders[0], folders[0])


# ------------------------------------------------------------------------------------------------------- picking up


def test_a_file_is_claimed_read_kept_and_filed_away(folders: Folders) -> None:
    pickup = folders[1]
    (pickup / "camt.053.001.08-OURS-5.xml").write_bytes(b"statement")
    bank = channel(folders)
    (message,) = bank.fetch()
    assert (message.name, message.kind, message.content) == ("camt.053.001.08-OURS-5.xml", "camt.053", b"statement")
    assert names(pickup) == ["claimed/camt.053.001.08-OURS-5.xml"]

    assert list(bank.acknowledge([message])) == []
    assert names(pickup) == ["processed/camt.053.001.08-OURS-5.xml"]
    assert list(bank.fetch()) == []


def test_what_a_crash_left_claimed_is_handed_out_again(folders: Folders) -> None:
    (folders[1] / "a.xml").write_bytes(b"one")
    list(channel(folders).fetch())  # and here the process dies
    (folders[1] / "b.xml").write_bytes(b"two")
    assert [message.content for message in channel(folders).fetch()] == [b"one", b"two"]


@pytest.mark.parametrize("name", [".a.xml", "a.xml.tmp", "a.xml.part", "a.xml.filepart", "a.XML.TMP", "a.xml~"])
def test_what_is_still_being_written_is_left_alone(folders: Folders, name: str) -> None:
    (folders[1] / name).write_bytes(b"hal")
    assert list(channel(folders).fetch()) == []
    assert (folders[1] / name).exists()


def test_a_file_that_grows_while_it_is_looked_at_is_left_for_the_next_time(folders: Folders) -> None:
    path = folders[1] / "a.xml"
    path.write_bytes(b"half")
    stop = threading.Event()

    def write_on() -> None:
        while not stop.is_set():
            with path.open("ab") as file:
                file.write(b"x")
            time.sleep(0.01)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        assert list(channel(folders, settle_seconds=0.1).fetch()) == []
    finally:
        stop.set()
        writer.join()
    assert len(list(channel(folders, settle_seconds=0.05).fetch())) == 1


def test_folders_and_links_in_the_pickup_folder_are_not_messages(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (folders[1] / "archive").mkdir()
    os.symlink(tmp_path / "secret", folders[1] / "link.xml")
    assert list(channel(folders).fetch()) == []


def test_a_name_that_comes_twice_is_two_messages(folders: Folders) -> None:
    bank, path = channel(folders), folders[1] / "a.xml"
    for content in (b"one", b"two"):
        path.write_bytes(content)
        bank.acknowledge(list(bank.fetch()))
    assert names(folders[1]) == ["processed/a.2.xml", "processed/a.xml"]
    path.write_bytes(b"three")
    bank.fetch()
    path.write_bytes(b"four")
    assert sorted(message.content for message in bank.fetch()) == [b"four", b"three"]


def test_two_readers_share_the_files_and_read_none_twice_at_once(folders: Folders) -> None:
    for number in range(50):
        (folders[1] / f"{number}.xml").write_bytes(str(number).encode())
    found: list[bytes] = []

    def read() -> None:
        found.extend(message.content for message in channel(folders).fetch())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert {int(content) for content in found} == set(range(50))
    assert len(names(folders[1] / "claimed")) == 50


def test_a_folder_that_cannot_be_read_says_which_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"unmounted.*mounted"):
        DirectoryBank(tmp_path / "in", tmp_path / "unmounted").fetch()


# ------------------------------------------------------------------------------------------------- with a real bank


def test_a_file_goes_to_a_real_bank_and_its_answers_come_back(
    folders: Folders, start_bank: Callable[..., MockBank]
) -> None:
    drop, pickup = folders
    bank = start_bank(
        "--drop-dir", str(drop), "--pickup-dir", str(pickup), "--drop-settle-ms", "0", "--drop-interval-ms", "60000"
    )
    ours = channel(folders)
    file = payment_file(payment("P-1", 43_790))
    content = pain001.write(file)
    for _ in range(2):
        assert ours.submit(file.file_id, content).outcome is SubmissionOutcome.RECEIVED
        bank.ask("POST", "/_mock/drop/scan")
    bank.advance(1)

    messages = list(ours.fetch())
    assert sorted(message.kind for message in messages) == ["camt.053", "camt.054", "pain.002", "pain.002"]
    answers = [found for found in map(reading.read, messages) if isinstance(found, FileAnswer)]
    assert sorted((found.group_status, found.is_duplicate) for found in answers) == [("ACCP", False), ("RJCT", True)]
    told = next(reading.read(message) for message in messages if message.kind == "camt.053")
    (statement,) = parts(told, Statement)
    assert [(line.end_to_end_id, line.amount) for line in statement.lines] == [("P-1", -43_790)]
    assert len(bank.payments()) == 1

    ours.acknowledge(messages)
    assert list(ours.fetch()) == []


def test_a_file_is_as_old_as_it_was_written_and_named_in_text(folders: Folders) -> None:
    path = folders[1] / os.fsdecode("입출금.csv".encode("cp949"))
    path.write_bytes(b"x")
    os.utime(path, (1_771_200_000, 1_771_200_000))
    (message,) = channel(folders).fetch()
    assert message.name == "입출금.csv"
    assert message.written_at == datetime(2026, 2, 16, tzinfo=UTC)
    channel(folders).acknowledge([message])
    assert names(folders[1]) == ["processed/입출금.csv"]


def test_what_was_claimed_under_a_name_that_is_no_text_is_handed_out_under_one(folders: Folders) -> None:
    (folders[1] / "claimed").mkdir()
    (folders[1] / "claimed" / os.fsdecode("잔액.csv".encode("cp949"))).write_bytes(b"x")
    assert [message.name for message in channel(folders).fetch()] == ["잔액.csv"]


def test_a_file_that_cannot_be_read_keeps_none_of_the_others_back(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.xml", "b.xml"):
        (folders[1] / name).write_bytes(name.encode())
    opened = Path.open

    def refusing(path: Path, *mode: Any) -> Any:
        if path.name == "a.xml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *mode)

    monkeypatch.setattr(Path, "open", refusing)
    assert [message.content for message in channel(folders).fetch()] == [b"b.xml"]
    monkeypatch.undo()
    assert [message.content for message in channel(folders).fetch()] == [b"a.xml", b"b.xml"]
