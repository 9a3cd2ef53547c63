"""Rules: which limits hold for which requests, for whom; replaced as a whole while the program runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from keel.ratelimit.asking import Asking
from keel.ratelimit.contract import UTC, Charge, Limit, Limits, Outage
from keel.ratelimit.quota import parse

UNKNOWN: Final = "-"
"""The template of a path that no route has."""


class Per(StrEnum):
    """Who shares one count.

    user: each user who is known, and each address of those who are not. ip: each address. tier: all of a tier together.
    all: everybody.
    """

    USER = "user"
    IP = "ip"
    TIER = "tier"
    ALL = "all"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Limits for requests on `routes` but not on those `excluding`.

    A route is written as a template, with a method before it where not all are meant, and `*` for any text:
    `POST /imports`, `/analytics/*`, `*`. `tiers` says by which limits others are replaced for a tier; none at all make
    it unlimited. `outage`, `shadow` and `leased` hold for all limits of the rule, the last for those that may be.
    `by_user_zone` lets windows of the calendar be the user's. A rule without routes is for code that asks for it, by
    `RuleBook.limits`. Raises ValueError for a limit that is none.
    """

    name: str
    limits: Sequence[Limit | str]
    per: Per = Per.USER
    routes: Sequence[str] = ()
    excluding: Sequence[str] = ()
    tiers: Mapping[str, Sequence[Limit | str]] = field(default_factory=dict)
    outage: Outage = Outage.LOCAL
    shadow: bool = False
    leased: bool = False
    by_user_zone: bool = False
    _limits: Limits = field(init=False, repr=False, default=())
    _tiers: Mapping[str, Limits] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Read the limits."""
        object.__setattr__(self, "_limits", self._read(self.limits))
        object.__setattr__(self, "_tiers", {tier: self._read(them) for tier, them in self.tiers.items()})

    def _read(self, limits: Sequence[Limit | str]) -> Limits:
        read = [parse(each) if isinstance(each, str) else each for each in limits]
        return tuple(
            replace(
                each,
                name=self.name,
                outage=self.outage,
                shadow=self.shadow,
                leased=self.leased and each.may_be_leased,
            )
            for each in read
        )

    def covers(self, method: str, template: str) -> bool:
        """Whether it is for this route."""
        return _is_one(method, template, self.routes) and not _is_one(method, template, self.excluding)

    def limits_for(self, tier: str, zone: str) -> Limits:
        """The limits that hold for somebody."""
        limits = self._tiers.get(tier, self._limits)
        return tuple(_in_zone(limit, zone) for limit in limits) if self.by_user_zone else limits

    def subject(self, request: Asking) -> str:
        """Who is charged."""
        if self.per is Per.USER:
            return request.subject
        if self.per is Per.IP:
            return f"ip:{request.address}"
        if self.per is Per.TIER:
            return f"tier:{request.asker.tier if request.asker else ''}"
        return "all"


class RuleBook:
    """The rules of a program. They may be replaced at any moment; whoever is being checked is so by the old ones."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules: dict[str, Rule] = {}
        self.edition = 0
        """Grows each time that the rules are replaced."""
        self._covering = lru_cache(maxsize=4096)(self._find)
        self.replace(rules)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Let other rules hold from now on; raises ValueError for two of one name.

        Windows whose length stays the same go on with what they have counted; other counts begin anew.
        """
        found: dict[str, Rule] = {}
        for rule in rules:
            if rule.name in found:
                raise ValueError(f"two rules are called {rule.name}")
            found[rule.name] = rule
        self._rules = found
        self.edition += 1
        self._covering.cache_clear()

    def __iter__(self) -> Iterator[Rule]:
        return iter(tuple(self._rules.values()))

    def covers(self, method: str, template: str) -> bool:
        """Whether any rule is for this route."""
        return bool(self._covering(method, template))

    def limits(self, name: str, *, tier: str = "", zone: str = UTC) -> Limits:
        """The limits of a rule by its name; none where there is no such rule."""
        rule = self._rules.get(name)
        return () if rule is None else rule.limits_for(tier, zone)

    def charges(self, method: str, template: str, request: Asking) -> list[Charge]:
        """What a request is charged for: the limits of each subject together, in the order of the rules."""
        asker = request.asker
        tier, zone = (asker.tier, asker.zone) if asker is not None else ("", UTC)
        found: dict[str, Limits] = {}
        for rule in self._covering(method, template):
            limits = rule.limits_for(tier, zone)
            if limits:
                subject = rule.subject(request)
                found[subject] = found[subject] + limits if subject in found else limits
        return [Charge(subject, limits) for subject, limits in found.items()]

    def _find(self, method: str, template: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._rules.values() if rule.covers(method, template))


def _is_one(method: str, template: str, routes: Sequence[str]) -> bool:
    for route in routes:
        verb, _, pattern = route.rpartition(" ")
        if verb in {"", method} and fnmatchcase(template, pattern):
            return True
    return False


@lru_cache(maxsize=4096)
def _in_zone(limit: Limit, zone: str) -> Limit:
    return limit if limit.unit is None else replace(limit, zone=zone)
