"""The channel to the bank, and our account at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.domain.bank.messages import Message, Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Debtor:
    """Our own account at the bank: where payouts come from and statements are about."""

    account: str
    name: str
    agent: str | None
    currency: str


class Inbox(Protocol):
    """Where messages lie for us: the bank's channel, or a folder in which people land statements."""

    def fetch(self) -> Iterable[Message]:
        """Return everything the bank has for us; may give again what it gave before.

        Raises Unavailable: the channel cannot be read.
        """

    def acknowledge(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Tell the channel that these are kept; return messages that came to light on the way and must be kept too."""

    def describe(self) -> str:
        """Return host and port, or folders, for messages to people; never a credential."""


class Bank(Inbox, Protocol):
    """The channel to the bank: files out, messages in."""

    @property
    def checks_duplicates(self) -> bool:
        """Whether the bank is known to refuse a file that it has: only then may a file go out a second time."""

    @property
    def answers_later(self) -> bool:
        """Whether the bank's word on a file comes some time after it, so that none at first means nothing."""

    def submit(self, file_id: str, content: bytes) -> Submission:
        """Hand the file over and return what is proven of it; never raises for what the network does."""
