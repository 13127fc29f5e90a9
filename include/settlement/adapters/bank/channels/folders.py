"""The bank over a pair of folders, as on an SFTP mount: files are dropped in one and picked up from the other.

**Dropping.** A file is written under a hidden temporary name, forced to disk and renamed: whoever watches the folder
sees it whole or not at all. A file of the same name that still waits is the same file, for its bytes depend on its
content alone. Once it was taken out of the folder, a second one is a second order, unless whoever takes it is known to
check for duplicates.

**Picking up.** A file is read once, by one reader, and never half:

1. Hidden and temporary names are left alone, and so is a file that changes while it is looked at.
2. It is claimed by renaming it into `claimed/`, under a name that is text in every encoding; of two readers one
   succeeds. Only claimed files are read, and of one too large for any message no more than shows that.
3. When the caller has kept it, `acknowledge` moves it to `processed/`. What a crash left in `claimed/` is handed out
   again: a message may come twice, and the caller knows it by its hash.
"""

import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from settlement.domain.bank.messages import FILE, LARGEST_MESSAGE, Message, Submission, SubmissionOutcome
from settlement.domain.errors import Refused, Unavailable
from settlement.ports.doctor import Door

log = structlog.get_logger(__name__)

_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".writing", ".swp", ".lock", "~")
_FILE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,34}")


class DirectoryBank:
    """The bank channel over two folders side by side."""

    def __init__(
        self, drop: Path, pickup: Path, *, checks_duplicates: bool = False, settle_seconds: float = 1.0
    ) -> None:
        if drop.resolve() == pickup.resolve():
            raise Refused(f"The drop and the pickup folder of the bank are the same [{drop}]: name two folders")
        self.checks_duplicates = checks_duplicates
        self.answers_later = True
        self._drop = drop
        self._pickup = PickupFolder(pickup, settle_seconds=settle_seconds)

    def describe(self) -> str:
        """Return the two folders."""
        return f"folder {self._drop} (drop) and {self._pickup.describe()}"

    def doors(self) -> Sequence[Door]:
        """Return whether the folders are there and files can be put into them and taken away; none is touched."""
        return [_door(self._drop), *self._pickup.doors()]

    def fetch(self) -> Iterable[Message]:
        """Return what lies in the pickup folder. Raises Unavailable if it cannot be read."""
        return self._pickup.fetch()

    def acknowledge(self, messages: Sequence[Message]) -> Sequence[Message]:
        """File away what the caller has kept. Nothing new comes to light by it."""
        return self._pickup.acknowledge(messages)

    def submit(self, file_id: str, content: bytes) -> Submission:
        """Leave [content] in the drop folder, whole or not at all; the bank's answer comes by the pickup folder."""
        if not _FILE_ID.fullmatch(file_id):
            raise Refused(f"[{file_id}] cannot be the name of a file: it has 1 to 35 letters, digits, '.', '_' or '-'")
        final, unfinished = self._drop / f"{file_id}.xml", self._drop / f".{file_id}.xml.part"
        try:
            waiting = _content(final)
            if waiting is not None:
                return self._waits_already(file_id, is_same=waiting == content)
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as failure:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return Submission(
                outcome=SubmissionOutcome.NOT_SENT,
                text=f"File [{file_id}] could not be written to the drop folder [{self._drop}] ({failure.strerror}); "
                "check that it is mounted, writable and not full",
            )
        try:
            unfinished.rename(final)
            _force_names(self._drop)
        except OSError as failure:
            return Submission(
                outcome=SubmissionOutcome.UNKNOWN,
                text=f"File [{file_id}] may or may not stand in the drop folder [{self._drop}] ({failure.strerror})",
            )
        return Submission(
            outcome=SubmissionOutcome.RECEIVED, text=f"File [{file_id}] stands in the drop folder [{self._drop}]"
        )

    def _waits_already(self, file_id: str, *, is_same: bool) -> Submission:
        if is_same:
            return Submission(
                outcome=SubmissionOutcome.RECEIVED,
                text=f"File [{file_id}] still stands in the drop folder [{self._drop}]",
            )
        return Submission(
            outcome=SubmissionOutcome.UNKNOWN,
            text=f"Another file waits under the name [{file_id}.xml] in the drop folder [{self._drop}]; "
            "find out who put it there before anything is sent",
        )


class PickupFolder:
    """A folder into which others put files for us: a bank's, or one where people land statements.

    `settle_seconds` is how long a file must have stood still before it is taken for complete.
    """

    def __init__(self, folder: Path, *, settle_seconds: float = 1.0) -> None:
        self._folder = folder
        self._claimed = folder / "claimed"
        self._processed = folder / "processed"
        self._settle_seconds = settle_seconds

    def describe(self) -> str:
        """Return the folder."""
        return f"folder {self._folder} (pickup)"

    def doors(self) -> Sequence[Door]:
        """Return whether the folder is there and files can be taken away from it."""
        return [_door(self._folder)]

    def fetch(self) -> Iterable[Message]:
        """Claim what lies in the pickup folder and return it with what was claimed before and not acknowledged.

        Raises Unavailable if the folder cannot be read.
        """
        try:
            for folder in (self._claimed, self._processed):
                folder.mkdir(exist_ok=True)
            for path in self._settled():
                self._claim(path)
            claimed = sorted(path for path in self._claimed.iterdir() if path.is_file() and not path.is_symlink())
            claimed = [self._named_as_text(path) for path in claimed]
        except OSError as failure:
            raise Unavailable(
                f"The pickup folder [{self._folder}] cannot be read ({failure.strerror}); check that it is mounted and "
                "that files may be renamed in it"
            ) from failure
        return [message for path in claimed if (message := _read(path)) is not None]

    def acknowledge(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Move what the caller has kept to `processed/`. Nothing new comes to light by it."""
        for message in messages:
            path = self._claimed / Path(message.name).name
            try:
                path.rename(_free_name(self._processed / path.name))
            except FileNotFoundError:
                continue
            except OSError as failure:
                log.warning(
                    "bank.not_filed_away", folder=str(self._folder), name=message.name, failure=failure.strerror
                )
        return []

    def _settled(self) -> list[Path]:
        """Return the files that are complete as far as can be seen: named so, and not changing while we look."""
        first = self._sizes()
        # The clock of a mount may differ from ours, so a file's age says little; that it stands still says more.
        if first and self._settle_seconds:
            time.sleep(self._settle_seconds)
        second = self._sizes() if first else {}
        return sorted(path for path, seen in first.items() if second.get(path) == seen)

    def _sizes(self) -> dict[Path, tuple[int, int]]:
        found = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name
                if (
                    name.startswith(".")
                    or name.lower().endswith(_UNFINISHED)
                    or not entry.is_file(follow_symlinks=False)
                ):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found[Path(entry.path)] = (status.st_size, status.st_mtime_ns)
        return found

    def _claim(self, path: Path) -> None:
        try:
            path.rename(_free_name(self._claimed / _text(path.name)))
        except FileNotFoundError:
            log.info("bank.claimed_by_another_reader", name=_text(path.name))

    def _named_as_text(self, path: Path) -> Path:
        """Return a claimed file under a name that is text, whoever put it there."""
        if _text(path.name) == path.name:
            return path
        named = _free_name(path.with_name(_text(path.name)))
        with suppress(FileNotFoundError):  # another reader named it meanwhile
            path.rename(named)
        return named


def _read(path: Path) -> Message | None:
    try:
        with path.open("rb") as file:
            content, written = file.read(LARGEST_MESSAGE + 1), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None  # another reader acknowledged it meanwhile
    except OSError as failure:
        log.error("bank.file_cannot_be_read", name=path.name, failure=failure.strerror)
        return None  # it keeps none of the others back, and is tried again
    written_at = datetime.fromtimestamp(written, UTC)
    return Message.of(content, kind=_kind(path.name), name=path.name, written_at=written_at)


def _door(folder: Path) -> Door:
    """Return whether a folder is there, and whether files can be put into it and taken away."""
    if not folder.is_dir():
        return Door(where=str(folder), amiss="unreachable", detail="no such folder")
    return Door(where=str(folder), amiss=None if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else "not_writable")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _text(name: str) -> str:
    """Return the name of a file as text: in UTF-8, or as Korean systems write it, with a mark for what is neither."""
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        return os.fsencode(name).decode("cp949", "replace")


def _kind(name: str) -> str:
    """Guess the kind from a name such as `camt.053.001.08-KRW-5.xml`; the reader goes by content alone."""
    found = re.match(r"(pain|camt|pacs)\.\d{3}", name)
    return found[0] if found else FILE


def _free_name(path: Path) -> Path:
    """Return [path], or the first numbered name beside it that is free: a bank may use a name again."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}.{number}{path.suffix}"), number + 1
    return candidate


def _force_names(folder: Path) -> None:
    """Force the folder's own entries to disk, where the system can: a rename lives in the folder, not in the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
