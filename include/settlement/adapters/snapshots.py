"""Frozen inputs as Parquet: one folder per settlement date and revision, one file per frame, one hash over all.

A folder appears whole or not at all (written aside, then renamed), readable by its owner only. Same facts, same bytes:
the rows come in the order of their keys, and the files carry no time of writing.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from settlement.domain import frames
from settlement.domain.frames import Inputs
from settlement.ports import Refused


class ParquetSnapshots:
    """Frozen inputs below one folder, which all workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def freeze(self, name: str, inputs: Inputs) -> str:
        """Keep the inputs under this name, whole or not at all, and return their SHA-256."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        aside = Path(tempfile.mkdtemp(prefix=".freezing-", dir=self._folder))
        try:
            for spec in frames.INPUTS.values():
                frame = frames.check(getattr(inputs, spec.name)[spec.column_names], spec)
                table = pa.Table.from_pandas(_ordered(frame, spec), preserve_index=False).replace_schema_metadata(None)
                pq.write_table(table, aside / f"{spec.name}.parquet", compression="zstd")
            sha256 = _digest(aside)
            target = self._folder / name / sha256[:16]
            if target.exists():
                return sha256
            target.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(aside, target)
            return sha256
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def load(self, name: str, *, input_sha256: str) -> Inputs:
        """Return the inputs kept under this name and hash.

        :raises Refused: they are missing, or are not what was frozen.
        """
        folder = self._folder / name / input_sha256[:16]
        if not folder.is_dir():
            raise Refused(
                f"Frozen inputs [{folder}] are missing: SETTLEMENT_SNAPSHOTS must be the folder they were frozen in,"
                " shared by all workers. Clear the task freeze_inputs of a day that is not computed yet"
            )
        found = _digest(folder)
        if found != input_sha256:
            raise Refused(
                f"Frozen inputs [{folder}] have sha256 [{found}], on record is [{input_sha256}]: they were changed"
            )
        loaded = {
            spec.name: _typed(pq.read_table(folder / f"{spec.name}.parquet"), spec) for spec in frames.INPUTS.values()
        }
        return Inputs(**{field.name: loaded[field.name] for field in fields(Inputs)})


def _ordered(frame: pd.DataFrame, spec: frames.Spec) -> pd.DataFrame:
    if frame[spec.key[0]].is_monotonic_increasing and len(spec.key) == 1:
        return frame
    return frame.sort_values(list(spec.key), ignore_index=True, kind="stable")


def _typed(table: pa.Table, spec: frames.Spec) -> pd.DataFrame:
    frame = table.to_pandas(
        types_mapper=lambda kind: (
            pd.StringDtype(na_value=float("nan"))
            if pa.types.is_string(kind) or pa.types.is_large_string(kind)
            else None
        )
    )
    return frames.check(frame.astype({column.name: column.kind.value for column in spec.columns}), spec)


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for file in sorted(folder.glob("*.parquet")):
        whole.update(file.name.encode())
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
