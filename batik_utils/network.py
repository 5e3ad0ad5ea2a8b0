"""Whether a place on the network is to be asked at all, found out within seconds."""

import os
import ssl
import threading
import urllib.error
import urllib.request
from functools import cache


def offline() -> str:
    """Why no network is to be used, or "" where one may be."""
    return "" if os.environ.get("BATIK_OFFLINE", "") in {"", "0"} else "not asked, BATIK_OFFLINE=1"


def unreachable(url: str, seconds: float) -> str:
    """Why a URL is not to be asked: no network, or no answer within so many seconds; "" where anything answers."""
    return offline() or _knock(url, seconds)


def short(error: Exception) -> str:
    """An error in at most 120 characters, without the machine's paths."""
    cause = getattr(error, "reason", error)
    text = " ".join(str(getattr(cause, "strerror", None) or cause).split())
    return text if len(text) <= 120 else f"{text[:119]}…"


@cache
def _knock(url: str, seconds: float) -> str:
    said = [f"no answer within {seconds:g} s"]

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            said[0] = ""
        except Exception as error:
            # "Not allowed" is an answer too, and so is a certificate, which the real request may know how to check.
            refused = isinstance(getattr(error, "reason", None), ssl.SSLError)
            said[0] = "" if refused or isinstance(error, urllib.error.HTTPError) else short(error)

    # In a thread, because looking up a name and trying several addresses do not heed urlopen's timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return said[0]
