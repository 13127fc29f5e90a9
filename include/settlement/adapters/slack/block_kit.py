"""The blocks of a message, built and checked by Slack's own models, cut to the limits that these know.

What a model does not know stands here by hand: how many blocks a message, rows a table and characters all blocks
together may have, and that a text of mrkdwn must not be cut through an entity.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    LinkButtonElement,
    MarkdownTextObject,
    PlainTextObject,
    RawTextObject,
    SectionBlock,
    TableBlock,
    TableBlockColumnSettings,
)

from settlement.adapters.slack.catalogue import NOTHING

Block = dict[str, Any]

MAX_BLOCKS = 50
MAX_CONTEXT = 3_000
MAX_TABLE_ROWS = 100
MAX_TABLE_COLUMNS = 20
MAX_CELL = 200
MAX_CHARACTERS = 12_000


def header(text: str) -> Block:
    """Return a title; it holds no markup."""
    return _built(HeaderBlock(text=PlainTextObject(text=clip(text, HeaderBlock.text_max_length), emoji=True)))


def section(text: str) -> Block:
    """Return a paragraph of mrkdwn."""
    return _built(SectionBlock(text=MarkdownTextObject(text=clip(text, SectionBlock.text_max_length))))


def context(text: str) -> Block:
    """Return a small line of mrkdwn."""
    return _built(ContextBlock(elements=[MarkdownTextObject(text=clip(text, MAX_CONTEXT))]))


def links(urls: Mapping[str, str | None]) -> list[Block]:
    """Return a row of buttons, by what stands on them; they are links only, so that nothing has to listen for Slack."""
    buttons = [
        LinkButtonElement(
            text=PlainTextObject(text=clip(text, ButtonElement.text_max_length), emoji=True),
            url=url,
        )
        for text, url in urls.items()
        if url and _is_link(url)
    ]
    return [_built(ActionsBlock(elements=buttons))] if buttons else []


def table(rows: Sequence[Sequence[str]], *, numbers: Iterable[int]) -> Block:
    """Return a table; columns of numbers stand on the right. An empty cell is not allowed: it shows a dash."""
    shown = [row[:MAX_TABLE_COLUMNS] for row in rows[:MAX_TABLE_ROWS]]
    on_the_right = set(numbers)
    return _built(
        TableBlock(
            rows=[[RawTextObject(text=clip(cell, MAX_CELL) or NOTHING) for cell in row] for row in shown],
            column_settings=[
                TableBlockColumnSettings(align="right" if column in on_the_right else "left", is_wrapped=True)
                for column in range(len(shown[0]))
            ],
        )
    )


def fit(blocks: Sequence[Block]) -> list[Block]:
    """Return as much as a message may hold; what does not fit goes from the table's end, then from the bottom."""
    kept = list(blocks[:MAX_BLOCKS])
    while len(kept) > 1 and (excess := _characters(kept) - MAX_CHARACTERS) > 0:
        long = next((block for block in kept if block["type"] == TableBlock.type and len(block["rows"]) > 2), None)
        if long is None:
            kept.pop()
            continue
        rows = list(long["rows"])
        while len(rows) > 2 and excess > 0:
            excess -= sum(len(cell["text"]) for cell in rows.pop())
        kept = [{**block, "rows": rows} if block is long else block for block in kept]
    return kept


def plain(blocks: Sequence[Block]) -> str:
    """Return what blocks say as plain text, one line for each thing; "" if they say nothing."""
    lines: list[str] = []
    for block in blocks:
        if block["type"] in (SectionBlock.type, HeaderBlock.type):
            lines.append(block["text"]["text"])
        elif block["type"] == ContextBlock.type:
            lines += [element["text"] for element in block["elements"]]
        elif block["type"] == TableBlock.type:
            lines += [" | ".join(cell["text"] for cell in row) for row in block["rows"]]
        elif block["type"] == ActionsBlock.type:
            lines += [f"{element['text']['text']}: {element['url']}" for element in block["elements"]]
    return "\n".join(lines)


def clip(text: str, length: int) -> str:
    """Return as much of an escaped text as fits; no entity is cut in two."""
    if len(text) <= length:
        return text
    return re.sub(r"&[a-z]{0,3}$", "", text[: length - 1]) + "…"


def _built(block: Any) -> Block:
    """Return the block as JSON; Slack's model raises SlackObjectFormationError where it would be refused."""
    return dict(block.to_dict())


def _is_link(url: str) -> bool:
    """Tell whether the address may stand behind a button: a web page, without a password in it."""
    return bool(len(url) <= ButtonElement.url_max_length and re.fullmatch(r"https?://[^\s<>@\"|]+", url))


def _characters(value: object) -> int:
    """Return how many characters blocks hold, addresses aside: no fewer than Slack counts, which takes 13,200."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters(item) for key, item in value.items() if key not in ("type", "url"))
    return sum(_characters(item) for item in value) if isinstance(value, list) else 0
