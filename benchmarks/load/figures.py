"""What a run came to, and how that compares with what was asked."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean
from typing import Final, NamedTuple

from benchmarks.load.asking import FILL, KEPT, WRITES
from benchmarks.load.client import Exchange

_FOUND: Final = ("hit", "stale")


class Figure(NamedTuple):
    """A figure, and what it must be; `most` is not allowed any more, `least` is."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    def __str__(self) -> str:
        told = f"  {self.name:<52}{self.value:>9,.2f} {self.unit:<2}"
        if self.most is not None:
            return f"{told}  asked < {self.most:<5g} {'met' if self.value < self.most else 'missed'}"
        if self.least is not None:
            return f"{told}  asked >= {self.least:<4g} {'met' if self.value >= self.least else 'missed'}"
        return told.rstrip()


class Queries(NamedTuple):
    """Statements per request."""

    of_all: float
    """Of the whole process, background and all."""
    of_kept: float
    """Of reads of pages that are kept."""
    of_kept_known: float
    """The same once it is known who asks."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to; `cpu` are the shares of one CPU that the server and the client used.

    `earlier` are the exchanges of the phases before the one that is measured.
    """

    name: str
    capacity: float
    rate: float
    earlier: Sequence[Exchange]
    exchanges: Sequence[Exchange]
    statements: int
    seconds: float
    cpu: tuple[float, float]
    filled: float
    controls: tuple[Sequence[Exchange], Sequence[Exchange]]
    """Answers that took no work, of the same server, and of one beside it that has nothing else to do."""

    @property
    def kept(self) -> list[Exchange]:
        """The reads of pages that are kept."""
        return [each for each in self.exchanges if each.request.is_kept and not each.failed]

    @property
    def hits(self) -> list[Exchange]:
        """Those of them that were found."""
        return [each for each in self.kept if each.cache in _FOUND]

    @property
    def misses(self) -> list[Exchange]:
        """Those of them that had to be computed."""
        return [each for each in self.kept if each.cache not in _FOUND]

    def possible(self, ending: Collection[str]) -> float:
        """The share of hits if all were kept for ever but for what the writes of a user, of kinds `ending`, end."""
        measured, there, found = {id(each) for each in self.exchanges}, set[tuple[int, str]](), 0
        for each in sorted([*self.earlier, *self.exchanges], key=attrgetter("sent")):
            person, kind = each.request.person, each.request.kind
            if each.request.is_kept:
                found += id(each) in measured and (person, kind) in there
                there.add((person, kind))
            elif kind in ending:
                there -= {(person, page) for page in KEPT}
        return found / len(self.kept)

    @property
    def queries(self) -> Queries:
        """What was asked of the database."""
        return Queries(
            self.statements / len(self.exchanges),
            fmean(each.queries for each in self.kept),
            fmean(each.queries - each.identifying for each in self.kept),
        )


def report(outcome: Outcome, without: Outcome) -> Iterator[str]:
    """The lines that tell of a run beside the one `without` a cache, which may be the same."""
    server, client = outcome.cpu
    yield (
        f"\n{outcome.name}: {len(outcome.exchanges):,} requests, {outcome.rate:.0f}/s of {outcome.capacity:.0f}/s that "
        f"it can; the server used {server:.0%} of a CPU, the client {client:.0%}"
    )
    figures = _without_cache(outcome) if outcome is without else _with_cache(outcome, without)
    yield from map(str, figures)
    took = [each.took for each in outcome.exchanges]
    failed = sum(each.failed for each in outcome.exchanges)
    yield str(Figure("mean response", fmean(took) * 1000, "ms", most=None if outcome is without else 45))
    yield str(Figure("CPU of the server per request", server * outcome.seconds / len(took) * 1000, "ms"))
    yield str(Figure("p99 of all responses", quantile(took, 0.99) * 1000, "ms"))
    yield str(
        Figure("sent late, p99", quantile([each.sent - each.due for each in outcome.exchanges], 0.99) * 1000, "ms")
    )
    yield str(Figure("errors", 100 * failed / len(outcome.exchanges), "%", most=0.1))


def _without_cache(outcome: Outcome) -> Iterator[Figure]:
    queries = outcome.queries
    yield Figure("queries per request, all", queries.of_all)
    yield Figure("queries per read of a kept page", queries.of_kept)
    yield Figure("the same once it is known who asks", queries.of_kept_known)
    yield from _took("kept page, computed", outcome.misses)


def _with_cache(outcome: Outcome, without: Outcome) -> Iterator[Figure]:
    now, before = outcome.queries, without.queries
    yield Figure("asked for before, of all that is kept", 100 * outcome.filled, "%")
    yield Figure("hits, of reads of kept pages", 100 * len(outcome.hits) / len(outcome.kept), "%", least=85)
    again = outcome.possible(())
    yield Figure("  of those that were asked for before", 100 * len(outcome.hits) / len(outcome.kept) / again, "%")
    yield Figure("  possible there, every write ending all pages", 100 * outcome.possible(WRITES) / again, "%")
    yield Figure("  possible there, if only fills ended them", 100 * outcome.possible([FILL]) / again, "%")
    yield Figure("queries per request, all", now.of_all)
    yield Figure("  fewer than without", fewer(now.of_all, before.of_all), "%", least=80)
    yield Figure("queries per read of a kept page", now.of_kept)
    yield Figure("  fewer than without", fewer(now.of_kept, before.of_kept), "%", least=80)
    yield Figure("the same once it is known who asks", now.of_kept_known)
    yield Figure("  fewer than without", fewer(now.of_kept_known, before.of_kept_known), "%", least=80)
    yield from _took("hit", outcome.hits, most=5)
    yield Figure("  p99 of the same, from when it was sent", _p99(each.done - each.sent for each in outcome.hits), "ms")
    there = [each.took_there for each in outcome.hits if each.took_there]
    yield Figure("  share of them that the application has answered", 100 * len(there) / len(outcome.hits), "%")
    yield Figure("  p50 of those, by the server's own clock", quantile(there, 0.5) * 1000, "ms")
    yield Figure("  p99 of those, by the server's own clock", quantile(there, 0.99) * 1000, "ms")
    same, beside = outcome.controls
    yield Figure("  p99 of a control in the same server", _p99(each.took for each in same), "ms")
    yield Figure("  p99 of a control in a server with nothing to do", _p99(each.took for each in beside), "ms")
    yield Figure("  p99 of how late hits were sent", _p99(each.sent - each.due for each in outcome.hits), "ms")
    yield from _took("miss", outcome.misses)


def _took(what: str, exchanges: Sequence[Exchange], most: float | None = None) -> Iterator[Figure]:
    took = [each.took for each in exchanges]
    yield Figure(f"{what}, p50", quantile(took, 0.5) * 1000, "ms")
    yield Figure(f"{what}, p99", quantile(took, 0.99) * 1000, "ms", most=most)


def _p99(seconds: Iterable[float]) -> float:
    """In milliseconds."""
    return quantile([*seconds], 0.99) * 1000


def fewer(now: float, before: float) -> float:
    """By how many percent it has become less."""
    return 100 * (1 - now / before)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
