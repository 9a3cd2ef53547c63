"""What a session is used on, by its user agent: what that says plainly, and nothing that would be guessed."""

import re
from collections.abc import Sequence
from typing import Final

_Named = Sequence[tuple[str, re.Pattern[str]]]


def _named(*known: tuple[str, str]) -> _Named:
    return [(name, re.compile(pattern)) for name, pattern in known]


# In this order: browsers also name those whom they resemble (RFC 9110, 10.1.5, knows no better).
_PROGRAMS: Final = _named(
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\b(?:OPR|OPT|Opera)/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Vivaldi", r"\bVivaldi/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS)/"),
    ("Safari", r"\bVersion/[\d.]+ .*\bSafari/"),
    ("curl", r"^curl/"),
    ("Wget", r"^Wget/"),
    ("Postman", r"^PostmanRuntime/"),
    ("Python", r"^(?:python-requests|python-httpx|Python-urllib|aiohttp|Python/)"),
    ("Go", r"^Go-http-client/"),
    ("Java", r"^(?:Java/|okhttp/|Apache-HttpClient/)"),
)
_SYSTEMS: Final = _named(
    ("iPhone", r"\(iPhone;"),
    ("iPad", r"\(iPad;"),
    ("Android", r"\bAndroid\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Windows", r"\bWindows NT\b"),
    ("macOS", r"\bMacintosh;"),
    ("Linux", r"\bLinux\b"),
)


def device(user_agent: str | None) -> str | None:
    """A name such as `Firefox on Linux`, `curl` or `Android`; None where the user agent says nothing that is known.

    Versions and models are left out: browsers freeze or invent them.
    """
    if not user_agent:
        return None
    program, system = _first(_PROGRAMS, user_agent), _first(_SYSTEMS, user_agent)
    if program and system:
        return f"{program} on {system}"
    return program or system


def _first(known: _Named, user_agent: str) -> str | None:
    return next((name for name, pattern in known if pattern.search(user_agent)), None)
