"""The names of entries: which prefixes cover a key, and what keys, tags and prefixes are called on the server."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from keel.cache.contract import Kind, Mark, NameRefused, Names, PatternRefused, Places
from keel.redis.tags import safe as safe_within_braces

SEPARATOR: Final = ":"
MOST_PREFIXES: Final = 4
"""Prefixes of a key that can be invalidated: those that end at its first four separators."""
RECENT: Final = 4096
"""Names that are kept worked out."""
_KINDS: Final = {kind.value: kind for kind in Kind}


@lru_cache(maxsize=RECENT)
def prefixes(key: str) -> tuple[str, ...]:
    """The prefixes by which a key can be invalidated: `a:b:c` lies beneath `a:` and `a:b:`."""
    words = key.split(SEPARATOR, MOST_PREFIXES)[:-1]
    found, prefix = [], ""
    for word in words:
        prefix = f"{prefix}{word}{SEPARATOR}"
        found.append(prefix)
    return tuple(found)


def names(key: str, tags: tuple[str, ...]) -> Names:
    """All names of an entry."""
    if not key:
        raise ValueError("a key must not be empty")
    check((key, *tags))
    return Names(key, prefixes(key), tags)


def check(given: Iterable[str]) -> None:
    """Raise NameRefused where one of the names could not be sent."""
    try:
        "".join(given).encode()
    except UnicodeEncodeError as error:
        raise NameRefused(f"no key, tag or prefix can have half a surrogate pair in it: {error}") from None


def group(key: str) -> str:
    """The first word of a key, by which it is counted."""
    return key.partition(SEPARATOR)[0]


def prefix(text: str) -> str:
    """The prefix that `text` names, with or without its last separator; `user_1` never covers `user_10`.

    Raises PatternRefused where no key could be found by it.
    """
    whole = text if text.endswith(SEPARATOR) else text + SEPARATOR
    if whole == SEPARATOR or "*" in whole or whole.count(SEPARATOR) > MOST_PREFIXES:
        raise PatternRefused(
            f"{text!r} is no prefix that can be invalidated: name up to {MOST_PREFIXES} words, each followed by "
            f"{SEPARATOR!r}; for anything else give the entries a tag and call invalidate_tags"
        )
    return whole


def pattern(text: str) -> str:
    """The prefix that a pattern with one trailing `*` names: `portfolio:*`. Raises PatternRefused for any other."""
    stem = text.removesuffix("*")
    if stem == text or not stem.endswith(SEPARATOR):
        raise PatternRefused(
            f"{text!r} is no pattern that can be invalidated: only a trailing * after a {SEPARATOR!r} is one; "
            "for anything else give the entries a tag and call invalidate_tags"
        )
    return prefix(stem)


safe: Final = lru_cache(maxsize=RECENT)(safe_within_braces)
"""A name as it may stand between braces in a server's key."""


class ServerKeys:
    """What things are called on the server, beneath the namespace; what belongs together has one hash tag."""

    def __init__(self, namespace: str) -> None:
        self.tracked = f"{namespace}:inv:"
        self.root = f"{namespace}:e:{{e}}"
        self.servers = f"{namespace}:s:{{e}}"
        self._namespace = namespace
        self.places: Final = lru_cache(maxsize=RECENT)(self._places)
        """Where an entry's value lies, and all versions that it depends upon."""

    def value(self, key: str) -> str:
        """Where a value lies."""
        return f"{self._namespace}:v:{{{safe(key)}}}"

    def lease(self, key: str) -> str:
        """Where the right to compute it lies."""
        return f"{self._namespace}:l:{{{safe(key)}}}"

    def tag(self, tag: str) -> str:
        """Where a tag's version lies."""
        return f"{self._namespace}:t:{{{safe(tag)}}}"

    def prefix(self, prefix: str) -> str:
        """Where a prefix's version lies."""
        return f"{self._namespace}:p:{{{safe(prefix)}}}"

    def version(self, mark: Mark) -> str:
        """Where the version lies that an invalidation of a tag, a prefix or everything raises."""
        if mark.kind is Kind.ROOT:
            return self.root
        return self.tag(mark.name) if mark.kind is Kind.TAG else self.prefix(mark.name)

    def versions(self, names: Names) -> list[str]:
        """Where all versions lie that an entry depends upon, in the order of `Stamps.versions`."""
        return [self.root, *map(self.prefix, names.prefixes), *map(self.tag, names.tags)]

    def _places(self, names: Names) -> Places:
        return Places(self.value(names.key), tuple(self.versions(names)))

    def notice(self, mark: Mark) -> str:
        """The key beneath the tracked prefix by which all processes hear of an invalidation."""
        tag = "e" if mark.kind is Kind.ROOT else safe(mark.name)
        return f"{self.tracked}{mark.kind}:{{{tag}}}"

    def read_notice(self, notice: bytes) -> tuple[Kind, str] | None:
        """What a notice is about: kind and safe name; None for what is no notice of ours."""
        text = notice.decode("utf-8", "replace")
        kind, colon, name = text.removeprefix(self.tracked).partition(":")
        if not (text.startswith(self.tracked) and colon and kind in _KINDS and name[:1] + name[-1:] == "{}"):
            return None
        return _KINDS[kind], name[1:-1]
