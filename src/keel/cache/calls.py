"""What `cache_response` knows of a function: how each of its calls is named, tagged and asked for."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any, Final, Protocol
from uuid import UUID

from keel.cache.canonical import DIGEST_BYTES, canonical_all, canonical_receiver
from keel.cache.codec import Codec, codec_for
from keel.cache.contract import NoPrincipal, Options, OtherPrincipal
from keel.cache.flights import Manner
from keel.cache.signatures import (
    Arguments,
    Format,
    Key,
    Parameters,
    Tags,
    TagsOf,
    called,
    return_annotation,
    user_name,
    word,
)
from keel.cache.tiers import PRIVATE_TAG
from keel.context import current_principal

USER_ID: Final = "user_id"
"""The parameter that, where entries are a user's own, must be who asks."""
_SCALARS: Final = frozenset({int, str, bool, type(None), UUID})
"""Types of which equal values, if they are of one type, have one text."""
_SHORT: Final = 64
_REMEMBERED: Final = 1024
_LOG: Final = logging.getLogger(__name__)

Version = Callable[[], int | None]
"""Gives the version of the data that an answer must have been computed from, or a later one; None: any."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a function's results are kept; see `cache_response`."""

    options: Options
    prefix: str | None
    user_aware: bool = False
    tags: Tags = ()
    key: Key | None = None
    version: Version | None = None
    made_version: Version | None = None


class Naming(Protocol):
    """The part of a key that tells one call from another."""

    def __call__(self, arguments: Arguments) -> str:
        """That of a call with these arguments."""


class Call:
    """A function whose results are kept on `terms`."""

    def __init__(self, function: Callable[..., Awaitable[Any]], terms: Terms) -> None:
        self.function = function
        self.terms = terms
        self.parameters = Parameters(function, frozenset({USER_ID}) if terms.user_aware else frozenset())
        self.options = terms.options
        self.version = terms.version
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.prefix = self._written_prefix()
        self._tags = TagsOf(terms.tags, self.parameters)
        self._user_at = self._place_of_user()
        self._bind = self.parameters.bind
        self._plain_count = self.parameters.plain_count
        self._user_aware = terms.user_aware
        self.is_untagged = not terms.tags and not terms.user_aware
        self._remembered = lru_cache(maxsize=_REMEMBERED, typed=True)(self._written)
        self._warned = False

    def _written_prefix(self) -> str:
        """What keys begin with, the last separator included; a key that is written out needs none."""
        given = self.terms.prefix
        if given is None:
            given = self.name if self.terms.key is None else ""
        return f"{given.rstrip(':')}:" if given else ""

    def _place_of_user(self) -> int | None:
        names = self.parameters.names
        return names.index(USER_ID) if self.terms.user_aware and USER_ID in names else None

    @cached_property
    def codec(self) -> Codec:
        """For what the function says it returns: made at the first call, when the names in it are defined."""
        return codec_for(return_annotation(self.function))

    @cached_property
    def manner(self) -> Manner:
        """How results are kept."""
        return Manner(self.options, self.codec, self._user_aware)

    @cached_property
    def naming(self) -> Naming:
        """How calls are told apart."""
        key = self.terms.key
        if key is None:
            return _Hashed(self)
        if callable(key):
            return lambda arguments: f"{word(called(key, self.parameters, arguments))}:{self.codec.fingerprint}"
        written = Format(key, self.parameters.names)
        return lambda arguments: f"{written.write(arguments)}:{self.codec.fingerprint}"

    def key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
        """The key of a call; None where it is a user's own and nobody is known to ask.

        Raises OtherPrincipal where it is for somebody else than who asks, and TypeError for arguments that cannot be
        part of a key, or with which the function could not be called.
        """
        arguments = args if len(args) == self._plain_count and not kwargs else self._bind(args, kwargs)
        user = None
        if self._user_aware:
            user = self.user(arguments)
            if user is None:
                return None
        for each in arguments:
            kind = type(each)
            if kind is not int and (kind not in _SCALARS or (kind is str and len(each) > _SHORT)):
                return self._written(user, *arguments)
        return self._remembered(user, *arguments)

    def _written(self, user: str | None, *arguments: Any) -> str:  # noqa: ANN401 - the function's own
        """The whole key; remembered for the arguments that most calls have, as hashing takes longer than all else."""
        named = self.naming(arguments)
        return f"{self.prefix}{named}" if user is None else f"{self.prefix}user_{user}:{named}"

    def certain_key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """As `key`, but raises NoPrincipal where there would be none."""
        key = self.key(args, kwargs)
        if key is None:
            raise NoPrincipal(f"{self.name} keeps entries per user: name one by `with principal(user_id):`")
        return key

    def user(self, arguments: Arguments) -> str | None:
        """Who asks; None where nobody is known to. Raises OtherPrincipal where `user_id` is another one."""
        asking = current_principal()
        if asking is None:
            self._warn()
            return None
        name = user_name(asking)
        if self._user_at is not None and user_name(arguments[self._user_at]) != name:
            raise OtherPrincipal(f"{self.name} was asked for another user's data than that of who asks")
        return name

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning("%s is not cached, as nobody is known to ask: enter `with principal(user_id):`", self.name)

    def tags(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], more_tags: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """The tags of a call's entry, and `more_tags`."""
        if self.is_untagged:
            return more_tags
        arguments = self._bind(args, kwargs)
        tags = self._tags(arguments) + more_tags
        user = self.user(arguments) if self._user_aware else None
        return tuple(dict.fromkeys(tags if user is None else (f"{PRIVATE_TAG}{user}", *tags)))


class _Hashed:
    """A hash of the arguments and of the schema of what is returned."""

    def __init__(self, call: Call) -> None:
        seed = canonical_all((call.name, call.codec.fingerprint))
        self._begun = blake2b(seed.encode(), digest_size=DIGEST_BYTES)
        self._parameters = call.parameters
        self._whole = call.parameters.is_whole
        self._name = call.name

    def __call__(self, arguments: Arguments) -> str:
        values = arguments if self._whole else self._parameters.key_values(arguments)
        try:
            text = canonical_all(values)
            if self._parameters.receiver:
                text += canonical_receiver(arguments[0])
        except TypeError as error:
            raise TypeError(f"{self._name}: {error}; say what its calls are known by: cache_response(key=…)") from None
        hashing = self._begun.copy()
        hashing.update(text.encode("utf-8", "surrogatepass"))
        return hashing.hexdigest()
