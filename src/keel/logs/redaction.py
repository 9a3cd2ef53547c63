"""What must never be read in a log, a trace or a report: found by the name it stands under, and by how it looks.

Every pattern takes time in proportion to the text: it begins at a fixed word or at the border of one, and is bounded.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

REDACTED: Final = "[redacted]"
LONGEST_TEXT: Final = 8192
"""Characters of one value that are shown."""
LONGEST_READ: Final = 16_384
"""Characters of one value that are looked at; what follows is never shown."""
MOST_ITEMS: Final = 100
"""Of one collection."""
MOST_ITEMS_IN_ALL: Final = 1000
DEEPEST: Final = 6
MOST_REMEMBERED: Final = 256
"""Texts that came before."""

_NAMES: Final = (
    "passw(?:or)?d|passphrase|passcode|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authori[sz]ation"
    "|cookie|credential|session[_-]?key|csrf|xsrf|card[_-]?(?:number|no)|cvv|cvc|jwt|bearer|signature|otp"
)
_SECRET_NAME: Final = re.compile(rf"{_NAMES}|^(?:pin|pan|ssn|auth|dsn)$", re.IGNORECASE)
_EMAIL_NAME: Final = re.compile(r"e[_-]?mail", re.IGNORECASE)
_QUOTED: Final = r"\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'"
_NOT_YET: Final = re.escape(REDACTED)
_LINE: Final = re.compile(
    rf"((?:authorization|cookie)[\"']?\s{{0,8}}[:=,]\s{{0,8}}(?-i:b?+)|\[parameters:\s)(?!{_NOT_YET})"
    rf"(?:{_QUOTED}|\([^\n]*+|[^\r\n\"'}}\]]++)",
    re.IGNORECASE,
)
_PAIR: Final = re.compile(
    rf"((?:{_NAMES})[\w.\[\]-]{{0,64}}(?:\\?[\"']\s{{0,8}}[:=,]|\s{{0,8}}(?:=>|[:=]|%3d|\)=\())\s{{0,8}}(?-i:b?+))(?!{_NOT_YET})"
    rf"(?:{_QUOTED}|\\\"[^\"]*+\"|[^\s&;,\"'<>(){{}}\]]++)",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\b(bearer|basic|digest|negotiate)((?:\s|%20|\+){1,4})[\w.~+/=-]{8,}+", re.IGNORECASE)
_URL: Final = re.compile(r"(://[^/\s:@]{0,128}:)[^/\s@]{1,256}@")
_TOKEN: Final = re.compile(
    r"(?<![\w-])(?:eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+"
    r"|(?=[\w-]{32,}+)(?=[^A-Z\W]*+[A-Z])(?=[^a-z\W]*+[a-z])(?=\D{0,64}\d)[\w-]++)",
    re.ASCII,
)
_EMAIL: Final = re.compile(r"(?<![\w.%+-])[\w.+-]{1,128}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_DIGITS: Final = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,64}")
_GROUP: Final = re.compile(r"\d+")
_CARD: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7]\d|222[1-9])\d{12,14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|(?:6011|65\d\d|64[4-9]\d|35\d\d|62\d\d)\d{12,15}"
)
_LUHN: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


class Room:
    """How many items of nested values may still be looked at: what refers to itself again and again has no end."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_ITEMS_IN_ALL

    def take(self, items: int) -> int:
        """How many of a collection's items."""
        taken = max(0, min(items, MOST_ITEMS, self._left))
        self._left -= taken
        return taken


class Redaction:
    """Takes secrets out of texts and of nested values. E-mail addresses become a hash by `key`, the same for all."""

    def __init__(self, key: str = "") -> None:
        self._key = key.encode()[:64]
        self.again: Callable[[str], str] = lru_cache(maxsize=MOST_REMEMBERED)(self.text)
        """As `text`, for what comes again and again, such as the names of browsers."""

    def text(self, text: str) -> str:
        """A text without passwords, tokens, cookies, credentials of any kind, card numbers and e-mail addresses."""
        if len(text) > LONGEST_READ:
            text = text[:LONGEST_READ]
        if "=" in text or ":" in text or "'" in text or '"' in text or "%3" in text:
            text = _PAIR.sub(rf"\1{REDACTED}", _LINE.sub(rf"\1{REDACTED}", text))
            text = _URL.sub(rf"\1{REDACTED}@", text)
        if len(text) > _SHORTEST:
            text = _TOKEN.sub(REDACTED, _SCHEME.sub(rf"\1\2{REDACTED}", text))
            text = _DIGITS.sub(_without_cards, text)
        if "@" in text or "%40" in text:
            text = _EMAIL.sub(self._hashed, text)
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"

    def field(self, name: str, value: Any) -> Any:  # noqa: ANN401 - whatever is logged
        """A value by its name."""
        return self._field(name, value, Room(), 0)

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Values by their names."""
        room = Room()
        return {self.text(name): self._field(name, value, room, 0) for name, value in fields.items()}

    def _field(self, name: str, value: Any, room: Room, depth: int) -> Any:  # noqa: ANN401 - whatever is logged
        if _SECRET_NAME.search(name) and not isinstance(value, bool) and value is not None:
            return REDACTED
        if isinstance(value, str) and "@" in value and _EMAIL_NAME.search(name):
            return self._hash(value)
        return self._value(value, room, depth)

    def _value(self, value: Any, room: Room, depth: int) -> Any:  # noqa: ANN401 - whatever is logged
        if isinstance(value, int) and value > _SMALLEST_CARD:
            return REDACTED if _is_card(str(value)) else value
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, (dict, list, tuple)):
            return "…" if depth >= DEEPEST else self._nested(value, room, depth + 1)
        return self.text(str(value))

    def _nested(self, value: "dict[Any, Any] | list[Any] | tuple[Any, ...]", room: Room, depth: int) -> Any:  # noqa: ANN401 - JSON
        """A collection; where the first item of a pair names the second one, as in headers, that counts."""
        taken = room.take(len(value))
        if isinstance(value, dict):
            items = islice(value.items(), taken)
            return {self.text(str(name)): self._field(str(name), each, room, depth) for name, each in items}
        if len(value) == taken == 2 and isinstance(value[0], str):  # noqa: PLR2004 - a pair
            return [self.text(value[0]), self._field(value[0], value[1], room, depth)]
        return [self._value(each, room, depth) for each in islice(value, taken)]

    def _hashed(self, found: re.Match[str]) -> str:
        return self._hash(found[0].replace("%40", "@"))

    def _hash(self, address: str) -> str:
        digest = blake2b(address.strip().lower().encode("utf-8", "replace"), digest_size=6, key=self._key)
        return f"email:{digest.hexdigest()}"


_SHORTEST: Final = 12
_SMALLEST_CARD: Final = 10**12
_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19
_FIRST_DIGITS: Final = "23456"


def _without_cards(found: re.Match[str]) -> str:
    """A run of digits without the card numbers in it, which begin and end where groups of digits do."""
    text, done, shown = found[0], 0, list[str]()
    groups = [(each.start(), each.end()) for each in _GROUP.finditer(text)]
    for first, (start, _) in enumerate(groups):
        end = _end_of_card(text, groups[first : first + _LONGEST_CARD], start) if start >= done else 0
        if end:
            shown += (text[done:start], REDACTED)
            done = end
    return "".join((*shown, text[done:]))


def _end_of_card(text: str, groups: list[tuple[int, int]], start: int) -> int:
    """Where the card number ends that begins at `start`; 0 where none does."""
    if text[start] not in _FIRST_DIGITS:
        return 0
    digits, found = "", 0
    for begin, end in groups:
        digits += text[begin:end]
        if len(digits) > _LONGEST_CARD:
            break
        if len(digits) >= _SHORTEST_CARD and _is_card(digits):
            found = end
    return found


def _is_card(digits: str) -> bool:
    """Whether it is a payment card's number: by its issuer and its check digit (ISO/IEC 7812-1)."""
    if not _CARD.fullmatch(digits):
        return False
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, odd)) + sum(_LUHN[int(each)] for each in even)) % 10 == 0
