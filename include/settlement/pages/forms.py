"""Forms that only our own pages can send: a token of the visitor's own in each, and the browser's word on its origin.

The cookie of Airflow's UI goes with every request, also with one that another site makes somebody's browser send. So a
request that does something must carry what only a page of ours has told this visitor.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

FIELD = "token"
WORDS = "this form was not sent by a page of yours, or is older than a day: open the page again"


def token(secret: bytes, name: str, *, now: datetime) -> str:
    """Return what a visitor's forms carry today; tomorrow it still counts."""
    said = f"settlement pages {now.date().isoformat()} {name}".encode()
    return hmac.new(secret, said, hashlib.sha256).hexdigest()


def check(request: Request, sent: str, secret: bytes, name: str, *, now: datetime) -> None:
    """Prove that a form came from a page that this visitor was shown.

    Raises HTTPException: 403, it did not.
    """
    valid = [token(secret, name, now=day) for day in (now, now - timedelta(days=1))]
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    is_ours = origin is None or urlsplit(origin).netloc == request.url.netloc
    if not is_ours or site not in (None, "same-origin") or not any(hmac.compare_digest(sent, one) for one in valid):
        raise HTTPException(403, WORDS)
