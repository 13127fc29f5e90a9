"""The ports of a home's servers: the same ones again, as long as nobody else took them."""

import socket
from pathlib import Path


def again(home: Path, name: str) -> int:
    """Return the port that a server of this home listened on last, or 0 if there is none or it is taken."""
    kept = home / "ports" / name
    port = int(kept.read_text()) if kept.exists() else 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def remember(home: Path, name: str, port: int) -> None:
    """Keep the port that a server of this home listens on."""
    folder = home / "ports"
    folder.mkdir(exist_ok=True, mode=0o700)
    (folder / name).write_text(str(port))
