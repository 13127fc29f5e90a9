"""What Slack refuses in the blocks of a message, in Slack's own words as far as they are known.

In: the blocks of one message. Out: one line for each thing that Slack would refuse, and the number of characters.
Source: https://docs.slack.dev/reference/block-kit/blocks. Only blocks that a message can hold are known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TEXT = 40_000
ALL_BLOCKS = 13_200
BLOCKS = 50
HEADER = 150
SECTION = 3_000
FIELDS, FIELD = 10, 2_000
CONTEXT_ELEMENTS = 10
ACTIONS = 25
BUTTON, BUTTON_URL = 75, 3_000
MARKDOWN = 12_000
TABLE_ROWS, TABLE_COLUMNS = 100, 20
BLOCK_ID = 255

Block = dict[str, Any]


def problems(blocks: list[Any]) -> list[str]:
    """Return what Slack would refuse, each with the pointer to where it is; nothing if it would accept the blocks."""
    found = list(_too_many(blocks, BLOCKS, "/blocks"))
    for number, block in enumerate(blocks):
        found += _block_problems(block, f"/blocks/{number}")
    if sum(isinstance(block, dict) and block.get("type") == "table" for block in blocks) > 1:
        found.append("[ERROR] only_one_table_allowed [json-pointer:/blocks]")
    return found


def characters(value: Any) -> int:
    """Return how many characters of text the blocks hold in all."""
    if isinstance(value, dict):
        own = len(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(characters(inner) for inner in value.values() if isinstance(inner, dict | list))
    if isinstance(value, list):
        return sum(characters(inner) for inner in value)
    return 0


def _block_problems(block: Any, at: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield f"[ERROR] must be an object [json-pointer:{at}]"
        return
    yield from _length(block.get("block_id", "-"), BLOCK_ID, f"{at}/block_id")
    match block.get("type"):
        case "header":
            yield from _text(block.get("text"), HEADER, f"{at}/text", kinds=("plain_text",))
        case "section":
            yield from _section_problems(block, at)
        case "context":
            elements = block.get("elements") or []
            yield from _some(elements, CONTEXT_ELEMENTS, f"{at}/elements")
            for number, element in enumerate(elements):
                if element.get("type") != "image":
                    yield from _text(element, SECTION, f"{at}/elements/{number}")
        case "actions":
            elements = block.get("elements") or []
            yield from _some(elements, ACTIONS, f"{at}/elements")
            for number, element in enumerate(elements):
                yield from _button_problems(element, f"{at}/elements/{number}")
        case "markdown":
            yield from _length(block.get("text"), MARKDOWN, f"{at}/text")
        case "table":
            yield from _table_problems(block, at)
        case "rich_text":
            yield from _some(block.get("elements") or [], BLOCKS, f"{at}/elements")
        case "image":
            if not block.get("image_url") and not block.get("slack_file"):
                yield f"[ERROR] missing required field: image_url [json-pointer:{at}]"
            yield from _length(block.get("alt_text"), FIELD, f"{at}/alt_text")
        case "divider":
            pass
        case other:
            yield f"[ERROR] unsupported type: {other} [json-pointer:{at}/type]"


def _section_problems(block: Block, at: str) -> Iterator[str]:
    if "text" not in block and not block.get("fields"):
        yield f"[ERROR] missing required field: text or fields [json-pointer:{at}]"
    if "text" in block:
        yield from _text(block["text"], SECTION, f"{at}/text")
    fields = block.get("fields", [])
    yield from _too_many(fields, FIELDS, f"{at}/fields")
    for number, field in enumerate(fields):
        yield from _text(field, FIELD, f"{at}/fields/{number}")
    if block.get("accessory", {}).get("type") == "button":
        yield from _button_problems(block["accessory"], f"{at}/accessory")


def _button_problems(element: Block, at: str) -> Iterator[str]:
    if element.get("type") != "button":
        return
    yield from _text(element.get("text"), BUTTON, f"{at}/text", kinds=("plain_text",))
    if "url" in element:
        yield from _length(element["url"], BUTTON_URL, f"{at}/url")


def _table_problems(block: Block, at: str) -> Iterator[str]:
    rows = block.get("rows") or []
    yield from _some(rows, TABLE_ROWS, f"{at}/rows")
    for number, row in enumerate(rows):
        yield from _some(row, TABLE_COLUMNS, f"{at}/rows/{number}")
        for column, cell in enumerate(row):
            if not isinstance(cell, dict) or cell.get("type") not in ("raw_text", "raw_number", "rich_text"):
                yield f"[ERROR] unsupported type of cell [json-pointer:{at}/rows/{number}/{column}]"
            elif cell["type"] == "raw_text":
                yield from _length(cell.get("text"), SECTION, f"{at}/rows/{number}/{column}/text")
    yield from _too_many(block.get("column_settings", []), TABLE_COLUMNS, f"{at}/column_settings")


def _text(value: Any, most: int, at: str, *, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        yield f"[ERROR] must be a text object of type {' or '.join(kinds)} [json-pointer:{at}]"
        return
    yield from _length(value.get("text"), most, f"{at}/text")


def _length(value: Any, most: int, at: str) -> Iterator[str]:
    if not isinstance(value, str) or not value:
        yield f"[ERROR] must be more than 0 characters [json-pointer:{at}]"
    elif len(value) > most:
        yield f"[ERROR] must be less than {most + 1} characters [json-pointer:{at}]"


def _some(values: list[Any], most: int, at: str) -> Iterator[str]:
    if not values:
        yield f"[ERROR] must be more than 0 items [json-pointer:{at}]"
    yield from _too_many(values, most, at)


def _too_many(values: list[Any], most: int, at: str) -> Iterator[str]:
    if len(values) > most:
        yield f"[ERROR] no more than {most} items allowed [json-pointer:{at}]"
