"""Reads what checks say."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from keel.health.contract import Answer, HealthStatus

STATUSES: Final[Mapping[object, HealthStatus]] = {
    "healthy": HealthStatus.PASS,
    "degraded": HealthStatus.WARN,
    "unhealthy": HealthStatus.FAIL,
    **{status.value: status for status in HealthStatus},
}
MOST_DETAILS: Final = 4096
"""Bytes of JSON that the details of one check may have."""
LONGEST_MESSAGE: Final = 300


class Said(NamedTuple):
    """A check's answer, read."""

    status: HealthStatus
    message: str
    details: Mapping[str, object]


def read(answer: Answer) -> Said:
    """An answer as it is meant. What makes no sense is a failure: a check that is written wrongly must not pass."""
    if answer is None or answer is True:
        return Said(HealthStatus.PASS, "", {})
    if answer is False:
        return Said(HealthStatus.FAIL, "", {})
    if not isinstance(answer, Mapping):
        return Said(HealthStatus.FAIL, f"the check answered with {type(answer).__name__}, not a mapping", {})
    rest = {str(name): value for name, value in answer.items() if name not in {"status", "message"}}
    status = answer.get("status")
    if not isinstance(status, str) or status not in STATUSES:
        return Said(
            HealthStatus.FAIL, f"the check answered with no status that is known: {status!r}"[:LONGEST_MESSAGE], {}
        )
    return Said(STATUSES[status], str(answer.get("message", ""))[:LONGEST_MESSAGE], bounded(rest))


def raised(error: BaseException) -> Said:
    """An exception as an answer."""
    line = str(error).strip().partition("\n")[0]
    name = type(error).__name__
    return Said(HealthStatus.FAIL, (f"{name}: {line}" if line else name)[:LONGEST_MESSAGE], {})


def bounded(details: Mapping[str, object]) -> Mapping[str, object]:
    """Details as JSON has them, within bounds; values that JSON does not have are told by their text."""
    encoded = msgspec.json.encode(details, enc_hook=_text)
    if len(encoded) > MOST_DETAILS:
        return {"omitted": f"{len(encoded)} bytes of details"}
    decoded: Mapping[str, object] = msgspec.json.decode(encoded)
    return decoded


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a check has put there
    return str(value)
