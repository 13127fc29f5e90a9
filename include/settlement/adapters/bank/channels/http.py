"""The bank over HTTP: one path takes a file by `POST`, another one is the mailbox of what the bank has to say.

The mailbox is read by `GET`, a kind at a time: `?raw&type=camt.053`. Both paths are the connection's.

**Sending.** What an answer proves is decided by `judge`, and nothing is proven by hope: a file is `NOT_SENT` only
when no connection came about or the bank turned the caller away at its door, and everything that is no clear answer
is `UNKNOWN`. The same file may be sent again where the bank checks for duplicates: its bytes and its id do not change,
and the bank refuses an id that it has.

**Collecting.** A mailbox hands a message out once, so an answer that is lost on the way would be a message that is
lost. Therefore:

1. `fetch` peeks (`leave`): the messages stay. Statements are asked for first and status reports last, so that
   whatever the bank said before it wrote a statement is fetched with it. Of an answer that breaks off, the messages
   that came whole count.
2. The caller keeps what it got, committed, and then acknowledges it.
3. `acknowledge` peeks again. Only if nothing waits but what is kept does it take, at once; what the take brings
   besides is handed to the caller like everything that the second peek brought, to be kept too.

A bank that does not know `leave` takes at every look: then the second look is simply another fetch, and nothing is
taken unseen. What remains is one hole as wide as a request: a message that arrives between the second peek and the
take, whose answer is lost as well. It shows: a statement then is missing in the chain, a status is asked for again by
the inquiry.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.parsers import expat

import httpx
import structlog

from settlement.adapters.bank.formats import document, pain002
from settlement.domain.bank.messages import ARRIVED, DUPLICATE_REASONS, REJECTED, Message, Submission, SubmissionOutcome
from settlement.domain.errors import Refused, Unavailable, UnreadableMessage
from settlement.ports.doctor import Door

log = structlog.get_logger(__name__)

COLLECTED_KINDS = ("camt.053", "camt.054", "pacs.004", "pain.002")
"""In the order of asking: what sums up first, what it sums up after it."""

LARGEST_ANSWER = 256 * 1024 * 1024

_LOGIN_REFUSED = frozenset({401, 403, 407})

_TURNED_AWAY = frozenset({401, 403, 404, 405, 407, 411, 429})
"""Answers of a door, given before a file is looked at."""

_REFUSING = frozenset({400, 406, 409, 413, 415, 422})

_ACCEPTING = ARRIVED | {"ACCEPTED", "OK"}

_SAYS_DUPLICATE = re.compile(r"duplicat|\bdupl\b|already", re.IGNORECASE)
_SPEAKS_OF_THE_FILE = re.compile(r"\bfile\b|\bmessage\b|msg_?id", re.IGNORECASE)


class HttpBank:
    """The bank channel over HTTP. One connection per request, no redirects, no proxies out of the environment."""

    def __init__(
        self,
        base_url: str,
        *,
        submit_path: str,
        collect_path: str,
        login: str | None = None,
        password: str | None = None,
        connect_seconds: float = 5.0,
        answer_seconds: float = 60.0,
        checks_duplicates: bool = True,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(
                "The bank's address is neither http://host:port nor https://host:port; set host and port of the "
                "connection settlement_bank"
            )
        # Rebuilt from its parts: credentials that someone wrote into the address must not reach a message or a log.
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._address = f"{parts.scheme}://{_bracketed(parts.hostname)}:{port}"
        self._submit_path = parts.path.rstrip("/") + _rooted(submit_path)
        self._collect_path = parts.path.rstrip("/") + _rooted(collect_path)
        login, password = login or parts.username, password or parts.password
        self._auth = httpx.BasicAuth(login, password or "") if login else None
        self._timeout = httpx.Timeout(answer_seconds, connect=connect_seconds)
        # Reading the certificates of the world takes longer than a request: once, and for nothing without TLS.
        self._tls = httpx.create_ssl_context(trust_env=False) if parts.scheme == "https" else False
        self._answer_seconds = answer_seconds
        self.checks_duplicates = checks_duplicates
        self.answers_later = False
        self._kept: set[str] = set()
        self._late: dict[str, Message] = {}

    def describe(self) -> str:
        """Return the bank's scheme, host and port."""
        return self._address

    def doors(self) -> Sequence[Door]:
        """Return whether the bank answers at both of its paths and lets our login in; nothing is sent or taken.

        It is asked by `OPTIONS`: even a look into a mailbox may hand its messages out for good.
        """
        return [self._door(path) for path in dict.fromkeys((self._submit_path, self._collect_path))]

    def _door(self, path: str) -> Door:
        where = self._address + path.partition("?")[0]
        try:
            answer = self._exchange("OPTIONS", path)
        except _NoConnection as failure:
            return Door(where=where, amiss="unreachable", detail=str(failure))
        if answer.failure:
            return Door(where=where, amiss="unreachable", detail=answer.failure)
        if answer.status in _LOGIN_REFUSED:
            return Door(where=where, amiss="login_refused", detail=f"HTTP {answer.status}")
        return Door(where=where)

    # ------------------------------------------------------------------------------------------------------ sending

    def submit(self, file_id: str, content: bytes) -> Submission:
        """Post [content] and return what is proven of it; what the network does is an outcome, never an exception."""
        try:
            answer = self._exchange("POST", self._submit_path, content=content)
        except _NoConnection as failure:
            return Submission(
                outcome=SubmissionOutcome.NOT_SENT,
                text=f"The bank at {self._address} could not be reached ({failure}); file [{file_id}] was not sent. "
                "Check host and port of the connection settlement_bank and that the bank is up",
            )
        if answer.failure:
            return Submission(
                outcome=SubmissionOutcome.UNKNOWN,
                status_code=answer.status,
                answer=answer.content,
                text=f"The answer of the bank at {self._address} to file [{file_id}] did not arrive "
                f"({answer.failure}); the file may have been taken. Do not send its payments under another id",
            )
        return judge(file_id, answer.status or 0, answer.content, address=self._address)

    # --------------------------------------------------------------------------------------------------- collecting

    def fetch(self) -> Iterable[Message]:
        """Return everything that waits at the bank, status reports first and statements last; nothing is taken.

        Raises Unavailable or Refused if nothing could be collected at all; what came before a failure is returned, and
        the failure is met again by the next fetch.
        """
        found: dict[str, Message] = dict(self._late)
        for kind in COLLECTED_KINDS:
            try:
                found |= {message.sha256: message for message in self._mailbox(kind, leave=True).messages}
            except (Unavailable, Refused) as failure:
                if not found:
                    raise
                log.warning("bank.fetch_broke_off", bank=self._address, kind=kind, failure=str(failure))
                break
        order = {kind: place for place, kind in enumerate(reversed(COLLECTED_KINDS))}
        return sorted(found.values(), key=lambda message: order[message.kind])

    def acknowledge(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Take from the mailbox what the caller has kept, and return what came to light and must be kept as well.

        Never raises for the network: what could not be taken is simply fetched again.
        """
        self._kept |= {message.sha256 for message in messages}
        late: dict[str, Message] = {}
        for kind in dict.fromkeys(message.kind for message in messages):
            try:
                late |= {message.sha256: message for message in self._take(kind) if message.sha256 not in self._kept}
            except (Unavailable, Refused) as failure:
                log.warning("bank.take_failed", bank=self._address, kind=kind, failure=str(failure))
        self._late = {sha256: found for sha256, found in (self._late | late).items() if sha256 not in self._kept}
        return list(late.values())

    def _take(self, kind: str) -> Iterator[Message]:
        waiting = self._mailbox(kind, leave=True)
        yield from waiting.messages
        is_quiet = bool(waiting.messages) and all(message.sha256 in self._kept for message in waiting.messages)
        if is_quiet and waiting.is_whole:
            yield from self._mailbox(kind, leave=False).messages

    def _mailbox(self, kind: str, *, leave: bool) -> "_Mail":
        """Read the mailbox of one kind. Raises Unavailable or Refused when not even a part of it could be read."""
        answer = self._look(kind, leave=leave)
        pieces = _split(answer.content)
        if pieces and not pieces[-1].is_whole and not answer.is_framed and not answer.failure:
            # Without a length a broken last message may be the bank's own or a connection that ended early. A second
            # look tells: what is the same twice is what the bank has to say.
            again = self._look(kind, leave=leave)
            if again.content != answer.content:
                later = _split(again.content)
                whole = [
                    piece for piece in pieces if not any(other.content.startswith(piece.content) for other in later)
                ]
                pieces, answer = [*whole, *later], again
        if answer.failure:
            pieces = [piece for piece in pieces if piece.is_whole]
            if not pieces:
                raise self._unavailable(kind, answer.failure)
            log.warning("bank.mailbox_broke_off", bank=self._address, kind=kind, failure=answer.failure)
        found = {message.sha256: message for message in (Message.of(piece.content, kind=kind) for piece in pieces)}
        return _Mail(messages=tuple(found.values()), is_whole=not answer.failure)

    def _look(self, kind: str, *, leave: bool) -> "_Answer":
        """Ask for the mailbox of one kind; an empty answer stands for an empty mailbox."""
        query = f"{self._collect_path}{'&' if '?' in self._collect_path else '?'}raw&type={kind}"
        try:
            answer = self._exchange("GET", f"{query}&leave" if leave else query)
            if answer.status == 400 and leave:
                # It does not know the word and says so; looking is taking at such a bank.
                answer = self._exchange("GET", query)
        except _NoConnection as failure:
            raise self._unavailable(kind, f"no connection: {failure}") from failure
        if answer.status in (204, 404):
            return _Answer(status=answer.status, content=b"", is_framed=True)
        if answer.status in _LOGIN_REFUSED:
            raise Refused(
                f"The bank at {self._address} refused the login (HTTP {answer.status}) while [{kind}] was collected; "
                "set login and password of the connection settlement_bank"
            )
        if answer.status != 200:
            raise self._unavailable(kind, answer.failure or f"HTTP {answer.status}")
        return answer

    def _unavailable(self, kind: str, failure: str) -> Unavailable:
        return Unavailable(
            f"The bank at {self._address} did not hand out [{kind}] ({failure}). Check host and port of the connection "
            "settlement_bank and that the bank is up; it is asked again"
        )

    # ---------------------------------------------------------------------------------------------------- the wire

    def _exchange(self, method: str, path: str, *, content: bytes | None = None) -> "_Answer":
        """Send one request over a connection of its own and return as much of the answer as came.

        Raises _NoConnection if the request never left.
        """
        headers = {"Accept": "application/xml, application/json;q=0.9, */*;q=0.1", "Accept-Encoding": "identity"}
        if content is not None:
            headers["Content-Type"] = "application/xml; charset=utf-8"
        deadline = time.monotonic() + self._answer_seconds
        answer, came = _Answer(), bytearray()
        try:
            with (
                httpx.Client(
                    auth=self._auth, timeout=self._timeout, follow_redirects=False, trust_env=False, verify=self._tls
                ) as client,
                client.stream(method, self._address + path, content=content, headers=headers) as response,
            ):
                answer.status = response.status_code
                answer.is_framed = any(name in response.headers for name in ("Content-Length", "Transfer-Encoding"))
                for chunk in response.iter_bytes():
                    came += chunk
                    if len(came) > LARGEST_ANSWER:
                        answer.failure = f"more than {LARGEST_ANSWER} bytes"
                        break
                    if time.monotonic() > deadline:
                        answer.failure = f"not complete after {self._answer_seconds:g} seconds"
                        break
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as failure:
            raise _NoConnection(_named(failure)) from failure
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            answer.failure = _named(failure)
        answer.content = bytes(came)
        return answer


def judge(file_id: str, status: int, answer: bytes, *, address: str) -> Submission:
    """Return what a bank's complete answer to a payment file proves.

    The answer may be a pain.002, JSON with `status` and `reason`, words, or nothing. 2xx took the file, unless its
    content rejects it whole; 4xx of the kind that judges content refused it, unless it says that it has this file
    already; a door (login, path, rate) never saw it. Whatever contradicts itself, names another file or cannot be
    read proves nothing.
    """

    def result(
        outcome: SubmissionOutcome, what: str, *, reason: str | None = None, report: bytes | None = None
    ) -> Submission:
        return Submission(
            outcome=outcome,
            text=f"The bank at {address} {what} file [{file_id}] (HTTP {status}{f', {reason}' if reason else ''})",
            status_code=status,
            answer=answer,
            reason=reason,
            messages=(Message.of(report, kind="pain.002"),) if report else (),
        )

    is_taken, is_refused = 200 <= status < 300, status in _REFUSING
    if status in _TURNED_AWAY:
        return result(
            SubmissionOutcome.NOT_SENT, "turned the caller away (check login, path and rate) before it looked at"
        )
    if not is_taken and not is_refused:
        return result(SubmissionOutcome.UNKNOWN, "gave no answer that proves anything about")

    said = _what_is_said(answer)
    report = answer if said.is_report else None
    if said.is_unreadable or said.file_id not in (None, file_id):
        return result(SubmissionOutcome.UNKNOWN, "gave an answer that cannot be read as one to")
    if said.reason in DUPLICATE_REASONS and said.status not in _ACCEPTING:
        return result(SubmissionOutcome.DUPLICATE, "already has", reason=said.reason, report=report)
    if is_taken and said.status is None and said.complains:
        return result(SubmissionOutcome.UNKNOWN, "complains in an answer that says nothing else about")
    if is_taken and said.is_prose:
        # Words explain a refusal; they do not confirm a receipt, for anything on the way to the bank may have said
        # them.
        return result(SubmissionOutcome.UNKNOWN, "answered with words that do not confirm")
    if is_taken:
        if said.status == REJECTED and said.speaks_of_payments:
            # It may have had the file before, and name each payment of it in refusing it now.
            return result(SubmissionOutcome.UNKNOWN, "rejects by name payments of", reason=said.reason, report=report)
        if said.status == REJECTED and (said.is_report or said.reason):
            return result(
                SubmissionOutcome.REFUSED, "took and rejected the whole of", reason=said.reason, report=report
            )
        return result(SubmissionOutcome.RECEIVED, "received", reason=said.reason, report=report)

    if said.status in _ACCEPTING:
        return result(SubmissionOutcome.UNKNOWN, "refused and accepted in one answer", report=report)
    if said.reason is None and _SAYS_DUPLICATE.search(said.words):
        is_about_file = status == 409 or file_id in said.words or _SPEAKS_OF_THE_FILE.search(said.words)
        return result(
            SubmissionOutcome.DUPLICATE if is_about_file else SubmissionOutcome.UNKNOWN, "says it already has"
        )
    if status == 409 and said.reason is None:
        return result(SubmissionOutcome.UNKNOWN, "sees a conflict that it does not explain with")
    return result(SubmissionOutcome.REFUSED, "refused", reason=said.reason, report=report)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What an answer says, in whatever form: `status` is the file's, `words` everything that is for people."""

    status: str | None = None
    reason: str | None = None
    file_id: str | None = None
    words: str = ""
    complains: bool = False
    is_report: bool = False
    is_prose: bool = False
    is_unreadable: bool = False
    speaks_of_payments: bool = False


def _what_is_said(answer: bytes) -> _Said:
    body = answer.strip()
    if not body:
        return _Said()
    if body.removeprefix(b"\xef\xbb\xbf").startswith(b"<"):
        return _said_in_xml(answer)
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        words = body.decode("utf-8", "replace")
        return _Said(words=words, is_prose=True, is_unreadable=words[0] in "{[")
    if not isinstance(said, dict):
        return _Said()

    def word(*names: str) -> str | None:
        return next((value for name in names if isinstance(value := said.get(name), str) and value), None)

    status = (word("status", "group_status", "GrpSts") or "").upper() or None
    return _Said(
        status=REJECTED if status == "REJECTED" else status,
        reason="DUPL" if status in ("DUPL", "DUPLICATE") else word("reason", "reason_code", "code"),
        file_id=word("msg_id", "file_id"),
        words=" ".join(value for value in said.values() if isinstance(value, str)),
        complains=bool(said.get("error") or said.get("errors")),
        speaks_of_payments=bool(said.get("payments")),
    )


def _said_in_xml(answer: bytes) -> _Said:
    try:
        opened = document.parse(answer)
        if opened.kind != "pain.002":
            return _Said(is_unreadable=True)
        said = pain002.read(opened)
    except UnreadableMessage:
        return _Said(is_unreadable=True)
    are_rejected = not said.payments.empty and bool((said.payments["status"] == REJECTED).all())
    return _Said(
        status=said.group_status or (REJECTED if are_rejected else None),
        reason=said.reason,
        file_id=said.file_id,
        words=said.text,
        is_report=True,
        speaks_of_payments=not said.payments.empty,
    )


class _NoConnection(Exception):
    """The request never left: there was no connection to write it to."""


@dataclass(slots=True, kw_only=True)
class _Answer:
    """As much of an answer as came. `is_framed`: it told its own length, so its end is known to be its end."""

    status: int | None = None
    content: bytes = b""
    is_framed: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mail:
    messages: tuple[Message, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    content: bytes
    is_whole: bool


_PADDING, _MARK = b" \t\r\n\0\x1a", b"\xef\xbb\xbf"
"""What stands between documents: white space, NULs, a Ctrl-Z; and a mark of the byte order, which may stand apart."""


def _split(stream: bytes) -> list[_Piece]:
    """Cut a sequence of XML documents where one document ends, as a parser sees it, and not where text looks like it.

    What no parser can follow is cut at the next XML declaration and handed over as it is: it is the bank's, and the
    reader says what is wrong with it.
    """
    pieces = []
    view, start = memoryview(stream), 0
    while start < len(stream):
        if stream[start] in _PADDING:
            start += 1
            continue
        if stream.startswith(_MARK, start) and stream[start + len(_MARK) : start + len(_MARK) + 1] != b"<":
            start += len(_MARK)
            continue
        end, is_whole = _document_end(view[start:])
        if not is_whole:
            declaration = stream.find(b"<?xml", start + max(end, 1))
            end = (len(stream) if declaration < 0 else declaration) - start
        pieces.append(_Piece(content=stream[start : start + end].rstrip(b" \t\r\n\0"), is_whole=is_whole))
        start += end
    return pieces


def _document_end(view: memoryview) -> tuple[int, bool]:
    """Return where the first document of [view] ends and whether it does; otherwise how far it could be followed."""
    try:
        return _followed(view, encoding=None)
    except LookupError:  # it declares an encoding that nobody knows
        return 0, False
    except ValueError:
        # It declares one of several bytes a character, as Korean banks do. No such byte is one of those that make
        # elements, so its end is found as if each byte were a character.
        return _followed(view, encoding="iso-8859-1")


def _followed(view: memoryview, *, encoding: str | None) -> tuple[int, bool]:
    depth, is_closed = 0, False

    def started(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1

    def ended(_name: str) -> None:
        nonlocal depth, is_closed
        depth -= 1
        is_closed = is_closed or depth == 0

    parser = expat.ParserCreate(encoding)
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    try:
        parser.Parse(view, True)
    except expat.ExpatError:
        return parser.ErrorByteIndex, is_closed
    return len(view), True


def _rooted(path: str) -> str:
    return "/" + path.lstrip("/")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _named(failure: Exception) -> str:
    """Return a failure's kind and words, in which there is no credential: those stand in a header of the request."""
    return f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
