"""What is known of this instance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instance:
    """Which program this is."""

    service: str
    version: str
