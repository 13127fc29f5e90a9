"""A picture of cost against size: the day beside COPY of the same rows."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Write the picture; its ending says whether it is SVG or PNG."""
    shares = [row["shares"] for row in found]
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    settling = [row["seconds"]["extract"] + row["seconds"]["compute_and_post"] for row in found]
    copy = [row["copy_seconds"] for row in found]
    axes.loglog(shares, [sum(row["seconds"].values()) for row in found], "o-", label="whole day")
    axes.loglog(shares, settling, "o-", label="extract, compute and post")
    axes.loglog(shares, [c["out"] + c["in_with_constraints"] for c in copy], "s--", label="COPY with constraints")
    axes.loglog(shares, [c["out"] + c["in"] for c in copy], "s--", label="bare COPY")
    axes.set_xlabel("shares")
    axes.set_ylabel("seconds")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
