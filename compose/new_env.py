"""Write .env from .env.example, with a fresh secret for every empty value that is said to be one.

It runs on any Python 3 without the project's environment, and never touches a .env that is there.
"""

import base64
import os
import re
import secrets
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
MAKERS = {
    "secret": lambda: secrets.token_hex(24),
    "fernet": lambda: base64.urlsafe_b64encode(os.urandom(32)).decode(),
}
EMPTY_SECRET = re.compile(r"(?m)^(#.*\((secret|fernet)\)\n[A-Z0-9_]+=)$")


def filled(example: str) -> str:
    """Return the example with its empty secrets filled."""
    return EMPTY_SECRET.sub(lambda found: found[1] + MAKERS[found[2]](), example)


def main() -> int:
    """Write the file, readable by its owner alone; 1 if there is one already."""
    example, target = PROJECT / ".env.example", PROJECT / ".env"
    try:
        file = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except FileExistsError:
        print(f"[{target}] is there already and was left as it is", file=sys.stderr)
        return 1
    with file:
        file.write(filled(example.read_text(encoding="utf-8")))
    print(f"[{target}] written; the people's first passwords are in it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
