"""An archive of closed days: their certificates, and every row that these seal, to be verified without the database.

A ZIP with `certificates.jsonl` (one certificate a line, the first with the hash of the one before it) and, for each
certificate, `rows-N.jsonl`: [table, key, the texts of the rows that the key stands for], as they were hashed. It holds
what the rows hold, names and account numbers too, so it is written for its owner only.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from settlement.ports.close import SEAL_BYTES, Certificate

SealedRow = tuple[str, str, Sequence[str]]
"""Table, key, and the texts of the rows that the key stands for."""

EPOCH = (1980, 1, 1, 0, 0, 0)


def write(path: Path, certificates: Sequence[Certificate], rows: Mapping[int, Iterable[SealedRow]]) -> None:
    """Write the archive; the same days are the same bytes."""
    path.touch(mode=0o600)
    with zipfile.ZipFile(path, "w") as archive:
        _add(archive, "certificates.jsonl", ({"body": c.body, "sha256": c.sha256} for c in certificates))
        for found in certificates:
            _add(archive, f"rows-{found.number}.jsonl", rows[found.number])


def broken(path: Path) -> list[str]:
    """Return what of an archive is not what was certified: a certificate, or a table of one; nothing if all is.

    Raises ValueError: the file is no archive of closed days.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            certificates = [json.loads(line) for line in archive.read("certificates.jsonl").splitlines()]
            return [*_broken_chain(certificates), *_broken_rows(archive, certificates)]
    except (KeyError, json.JSONDecodeError, zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"[{path}] is no archive of closed days: {error}") from error


def _add(archive: zipfile.ZipFile, name: str, lines: Iterable[Any]) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    with archive.open(entry, "w") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False, sort_keys=True).encode() + b"\n")


def _broken_chain(certificates: Sequence[Mapping[str, str]]) -> Iterator[str]:
    previous = None
    for place, found in enumerate(certificates):
        body = json.loads(found["body"])
        if hashlib.sha256(found["body"].encode()).hexdigest() != found["sha256"]:
            yield f"certificates {body['number']} was changed"
        elif place and body["previous_sha256"] != previous:
            yield f"certificates {body['number']} does not follow the one before it"
        previous = found["sha256"]


def _broken_rows(archive: zipfile.ZipFile, certificates: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for found in certificates:
        body = json.loads(found["body"])
        tables: dict[str, Any] = {}
        counts: dict[str, int] = {}
        with archive.open(f"rows-{body['number']}.jsonl") as file:
            for line in file:
                table, key, texts = json.loads(line)
                seal = b"".join(hashlib.sha256(text.encode()).digest()[:SEAL_BYTES] for text in texts)
                tables.setdefault(table, hashlib.sha256()).update(key.encode() + seal)
                counts[table] = counts.get(table, 0) + 1
        for table, sealed in sorted(body["sealed"].items()):
            if table not in tables or (tables[table].hexdigest(), counts[table]) != (sealed["sha256"], sealed["rows"]):
                yield f"{table} of certificate {body['number']} ({body['settlement_date']}) is not what was certified"
        for table in sorted(tables.keys() - body["sealed"].keys()):
            yield f"{table} of certificate {body['number']} ({body['settlement_date']}) was put in"
