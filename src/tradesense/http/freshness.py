"""How fresh a kept answer must be: its day, and the last write that touched what it shows."""

from contextvars import ContextVar
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Scope

from tradesense.db.invalidation import labels_tag
from tradesense.domain.groupings import LABELS, By
from tradesense.http.authentication import Principal

LABELLED: Final = LABELS | {By.R}
"""Breakdowns that go by what is written about trades."""
_BITS: Final = 40
"""Of the version; the day stands above it."""
_FILTERS: Final = frozenset({"tag", "playbook"})
_BY_RISK: Final = "/analytics/summary"


class _Asked(NamedTuple):
    demanded: int
    made: int
    tags: tuple[str, ...]


_asked: Final[ContextVar[_Asked | None]] = ContextVar("asked", default=None)


def demand(scope: Scope, user: Principal, carried: int) -> None:
    """Note what this request's answer must be computed from, if it is a kept one."""
    tags = (labels_tag(user.user_id),) if goes_by_labels(scope) else ()
    _asked.set(_Asked(demanded_of(scope, user, carried), user.day << _BITS | user.data_version, tags))


def demanded_of(scope: Scope, user: Principal, carried: int) -> int:
    """The day it is for the user, and the version that the last write has made which touched what is shown.

    A version that the request has `carried` back goes before it, whatever that write has touched.
    """
    touched = max(user.ledger_version, user.labels_version) if goes_by_labels(scope) else user.ledger_version
    return user.day << _BITS | max(touched, carried)


def goes_by_labels(scope: Scope) -> bool:
    """Whether an answer depends on what trades are labelled with: by its filters, its groups, or its risk."""
    if scope["path"].endswith(_BY_RISK):
        return True
    if not scope["query_string"]:
        return False
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return any(name in _FILTERS or (name == "by" and value in LABELLED) for name, value in query)


def demanded() -> int | None:
    """What the answer to this request must at least be computed from."""
    asked = _asked.get()
    return None if asked is None else asked.demanded


def made() -> int | None:
    """What an answer that is computed for this request is computed from, at least."""
    asked = _asked.get()
    return None if asked is None else asked.made


def tags() -> tuple[str, ...]:
    """The tags of this request's answer, beside its user's and its accounts'."""
    asked = _asked.get()
    return () if asked is None else asked.tags
