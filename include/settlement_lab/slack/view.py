"""Slack messages as text for a terminal; `page` shows them in a browser.

In: messages as the Web API returns them. Blocks are shown when there are any, else the text, as Slack does. Its text
holds `&amp; &lt; &gt;` and marks of its own (https://docs.slack.dev/messaging/formatting-message-text).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape
from typing import Any

from rich.cells import cell_len

Message = dict[str, Any]
Block = dict[str, Any]
Conversation = Sequence[tuple[Message, Sequence[Message]]]

EMOJI = {
    "arrows_counterclockwise": "🔄",
    "bank": "🏦",
    "bell": "🔔",
    "calendar": "📅",
    "hourglass": "⏳",
    "hourglass_flowing_sand": "⏳",
    "information_source": "ℹ️",
    "large_blue_circle": "🔵",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "lock": "🔒",
    "moneybag": "💰",
    "no_entry": "⛔",
    "red_circle": "🔴",
    "rotating_light": "🚨",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "x": "❌",
}


def render_text(conversation: Conversation) -> str:
    """Return a channel as text for a terminal: each message with its thread indented below it."""
    parts = []
    for root, replies in conversation:
        parts.append(_message_text(root))
        parts += [_indent(_message_text(reply), "    │ ") for reply in replies]
    return "\n\n".join(parts)


def emoji(text: str) -> str:
    """Return the text with the names of emoji replaced; a name that is not known stays."""
    return re.sub(r":([a-z0-9_+-]+):", lambda found: EMOJI.get(found[1], found[0]), text)


def reference(inside: str, show: Callable[[str, str], str]) -> str:
    """Show what stands in angle brackets: a link, a mention or a special word, with its label."""
    target, _, label = inside.partition("|")
    if target.startswith("!date^"):
        return show("", label or target)
    return show(target, label)


def _message_text(message: Message) -> str:
    blocks = [text for block in message.get("blocks") or [] if (text := _block_text(block))]
    body = "\n".join(blocks) or _mrkdwn_text(message.get("text", ""))
    files = "".join(f"\n📎 {file['title']}" for file in message.get("files") or [])
    edited = " (edited)" if "edited" in message else ""
    return f"settlement{edited}\n{_indent(body + files, '  ')}"


def _block_text(block: Block) -> str:
    match block.get("type"):
        case "header":
            return emoji(unescape(block["text"]["text"]))
        case "section":
            parts = [_object_text(block["text"])] if "text" in block else []
            parts += [_object_text(field).replace("\n", ": ", 1) for field in block.get("fields", [])]
            return "\n".join(parts)
        case "context" | "actions":
            return "  ".join(_object_text(element) for element in block["elements"])
        case "divider":
            return "─" * 40
        case "table":
            return _table_text(block)
        case "rich_text":
            return "\n".join(map(_rich_text, block["elements"]))
        case "markdown":
            return str(block["text"])
        case "image":
            return f"🖼 {block.get('alt_text', '')}"
    return ""


def _object_text(element: Block) -> str:
    match element.get("type"):
        case "button":
            return f"[{emoji(unescape(element['text']['text']))}]"
        case "image":
            return f"🖼 {element.get('alt_text', '')}"
        case "mrkdwn":
            return _mrkdwn_text(element["text"])
    return emoji(unescape(element["text"]))


def _table_text(block: Block) -> str:
    rows = [[_cell_text(cell) for cell in row] for row in block["rows"]]
    settings = block.get("column_settings") or []
    widths = [max(cell_len(row[column]) for row in rows if column < len(row)) for column in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = []
        for column, text in enumerate(row):
            pad = " " * (widths[column] - cell_len(text))
            right = column < len(settings) and (settings[column] or {}).get("align") == "right"
            cells.append(pad + text if right else text + pad)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell_text(cell: Block) -> str:
    if cell["type"] == "rich_text":
        return " ".join(map(_rich_text, cell["elements"]))
    return emoji(unescape(str(cell.get("text", cell.get("value", "")))))


def _rich_text(element: Block) -> str:
    match element.get("type"):
        case "text":
            return str(element["text"])
        case "link":
            return str(element.get("text") or element["url"])
        case "emoji":
            return EMOJI.get(element["name"], f":{element['name']}:")
        case "rich_text_list":
            return "\n".join(f"• {_rich_text(item)}" for item in element["elements"])
    return "".join(map(_rich_text, element.get("elements", [])))


def _mrkdwn_text(text: str) -> str:
    text = re.sub(r"<([^<>\n]+)>", lambda found: reference(found[1], _reference_text), text)
    text = re.sub(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?!\w)", r"\1", text)
    return emoji(unescape(text.replace("```", "")))


def _reference_text(target: str, label: str) -> str:
    if target[:1] in ("!", "@", "#"):
        return f"@{label or target[1:]}"
    return f"{label} ({target})" if label and target else label or target


def _indent(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.splitlines())
