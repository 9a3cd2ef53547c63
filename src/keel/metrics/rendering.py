"""Writes metrics down, in the form that is wanted, in steps that let others work in between."""

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice
from time import sleep
from typing import Final

import msgspec
from prometheus_client import exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.samples import Sample

STEP: Final = 50
"""Samples that are written in a row; they take some 1 ms."""
PAUSE_S: Final = 0.0005
"""For how long the thread then lets go of the interpreter, which the event loop takes at once if it needs it."""


class Form(Enum):
    """How metrics can be written."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    JSON = "application/json"

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return self.value

    @classmethod
    def wanted(cls, accept: str) -> "Form":
        """The form that an Accept header likes best (RFC 9110, 12.5.1); the text format where it likes all, or none.

        Of two that it likes as much the first counts.
        """
        liked = sorted(_weighed(accept), key=lambda each: -each[0])
        return next((form for weight, form in liked if weight > 0), cls.TEXT)


_NAMES: Final = {
    "application/openmetrics-text": Form.OPENMETRICS,
    "application/json": Form.JSON,
    "text/plain": Form.TEXT,
    "text/*": Form.TEXT,
    "*/*": Form.TEXT,
}


def _weighed(accept: str) -> Iterator[tuple[float, Form]]:
    for part in accept.split(","):
        name, *parameters = (word.strip() for word in part.lower().split(";"))
        if name in _NAMES:
            given = [each[2:] for each in parameters if each.startswith("q=")]
            yield _weight(given[0]) if given else 1.0, _NAMES[name]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def render(form: Form, families: Iterable[Metric]) -> bytes:
    """All families, as they are read: for a thread, as it takes its time."""
    paced = _Families(families)
    if form is Form.OPENMETRICS:
        written: bytes = openmetrics.generate_latest(paced)  # type: ignore[no-untyped-call]
        return written
    if form is Form.TEXT:
        return exposition.generate_latest(paced)
    return b'{"metrics":[%b]}' % b",".join(_json(each) for each in paced.collect())


class _Families:
    """What prometheus_client writes down: a registry to it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Each family, with samples that come in steps."""
        for family in self._families:
            family.samples = _Steps(family.samples)  # type: ignore[assignment] # it is iterated over, and nothing else
            yield family


class _Steps:
    """Samples, with a pause after each step; when each child was made is nobody's concern."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples

    def __iter__(self) -> Iterator[Sample]:
        samples = iter(self._samples)
        while step := list(islice(samples, STEP)):
            yield from (each for each in step if not each.name.endswith("_created"))
            sleep(PAUSE_S)


def _json(family: Metric) -> bytes:
    """One family; each sample is encoded by itself, so that nothing large is in the making."""
    about = {"name": family.name, "type": family.type, "unit": family.unit, "help": family.documentation}
    samples = (
        msgspec.json.encode({"name": each.name, "labels": each.labels, "value": each.value}) for each in family.samples
    )
    return b'%b,"samples":[%b]}' % (msgspec.json.encode(about)[:-1], b",".join(samples))
