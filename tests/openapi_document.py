"""The OpenAPI document that was last agreed upon, `docs/openapi.json`; `make openapi` writes it anew."""

import json
from pathlib import Path
from typing import Any, Final

from tradesense.app import create_app
from tradesense.settings import Settings

AGREED: Final = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def current() -> dict[str, Any]:
    """The document of the application as it is, as JSON reads it."""
    document: dict[str, Any] = json.loads(json.dumps(create_app(Settings.load({})).openapi()))
    del document["info"]["version"]
    return document


def agreed() -> dict[str, Any]:
    """The document as it stands in `docs`."""
    document: dict[str, Any] = json.loads(AGREED.read_text())
    return document


if __name__ == "__main__":
    AGREED.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
