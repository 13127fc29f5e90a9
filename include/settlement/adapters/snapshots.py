"""Frozen inputs as Parquet: one folder per settlement date and revision, one file per frame, one hash over all.

A folder appears whole or not at all (written aside, then renamed), readable by its owner only. Same facts, same bytes:
the rows come in the order of their keys, and the files carry no time of writing. A frame that came later than the first
days that were frozen has no file where it has no rows.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from settlement.domain import frames
from settlement.domain.errors import Refused
from settlement.domain.frames import Inputs
from settlement.ports.doctor import Folder


class ParquetSnapshots:
    """Frozen inputs below one folder, which all workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def freeze(self, name: str, inputs: Inputs) -> str:
        """Keep the inputs under this name, whole or not at all, and return their SHA-256.

        Other inputs of that name stay beside them: which of them count is what is on record.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        aside = Path(tempfile.mkdtemp(prefix=".freezing-", dir=self._folder))
        try:
            for spec in frames.INPUTS.values():
                frame = frames.check(getattr(inputs, spec.name)[spec.column_names], spec)
                if frame.empty and spec.came_later:
                    continue
                pq.write_table(
                    _ordered(frame, spec),
                    aside / f"{spec.name}.parquet",
                    compression="zstd",
                    use_dictionary=[c.name for c in spec.columns if c.name not in spec.key],
                    write_statistics=False,
                )
            sha256 = _digest(aside)
            target = self._folder / name / sha256[:16]
            if target.exists() and _digest(target) != sha256:  # it was changed or lost a file since, and is of no use
                shutil.rmtree(target)
            if not target.exists():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                os.rename(aside, target)
            return sha256
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def load(self, name: str, *, input_sha256: str) -> Inputs:
        """Return the inputs kept under this name and hash.

        Raises Refused: they are missing, or are not what was frozen.
        """
        folder = self._proven(name, input_sha256)
        loaded = {spec.name: _read(folder, spec) for spec in frames.INPUTS.values()}
        return Inputs(**{field.name: loaded[field.name] for field in fields(Inputs)})

    def table(self, name: str, table: str, *, input_sha256: str) -> pd.DataFrame:
        """Return one frame of the inputs kept under this name and hash.

        Raises Refused: they are missing, or are not what was frozen.
        """
        return _read(self._proven(name, input_sha256), frames.INPUTS[table])

    def _proven(self, name: str, input_sha256: str) -> Path:
        folder = self._folder / name / input_sha256[:16]
        if not folder.is_dir():
            raise Refused(
                f"Frozen inputs [{folder}] are missing: SETTLEMENT_SNAPSHOTS must be the folder they were frozen in,"
                " shared by all workers. Clear the task freeze_inputs of a day that is not computed yet"
            )
        found = _digest(folder)
        if found != input_sha256:
            raise Refused(
                f"Frozen inputs [{folder}] have sha256 [{found}], on record is [{input_sha256}]: they were changed."
                " Clear the task freeze_inputs of a day that is not computed yet; restore a backup of one that is"
            )
        return folder


def look(folder: Path) -> Folder:
    """Return what the folder of the frozen inputs is; where it is not there yet, what the one is in which it will be.

    Nothing is made.
    """
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return Folder(
        path=folder,
        mode=stat.S_IMODE(folder.stat().st_mode) if there == folder else None,
        may_write=there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        free_bytes=shutil.disk_usage(there).free,
    )


def _ordered(frame: pd.DataFrame, spec: frames.Spec) -> pa.Table:
    """Return the rows in the bytewise order of their key; a source mostly has them so already."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    if not frames.ascends(frame, spec):
        table = table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in spec.key]))
    return table.combine_chunks()  # pages follow chunks: the same rows in other chunks would be other bytes


def _read(folder: Path, spec: frames.Spec) -> pd.DataFrame:
    if spec.came_later and not (folder / f"{spec.name}.parquet").exists():
        return frames.build(spec)
    frame = pq.read_table(folder / f"{spec.name}.parquet").to_pandas(
        types_mapper=lambda kind: (
            pd.StringDtype(na_value=float("nan"))
            if pa.types.is_string(kind) or pa.types.is_large_string(kind)
            else None
        )
    )
    return frames.typed(frame, {column.name: column.kind for column in spec.columns})


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for file in sorted(folder.glob("*.parquet")):
        whole.update(file.name.encode())
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()
