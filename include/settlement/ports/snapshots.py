"""The store of frozen inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.frames import Inputs


class Snapshots(Protocol):
    """Frozen inputs, by settlement date and revision: same facts, same bytes."""

    def freeze(self, name: str, inputs: Inputs) -> str:
        """Keep the inputs under this name, whole or not at all, and return their SHA-256."""

    def load(self, name: str, *, input_sha256: str) -> Inputs:
        """Return the inputs kept under this name.

        Raises Refused: they are missing or their hash differs.
        """

    def table(self, name: str, table: str, *, input_sha256: str) -> pd.DataFrame:
        """Return one frame of the inputs kept under this name, proven with the others.

        Raises Refused: they are missing or their hash differs.
        """
