"""Spoil every fixture and sample for a while and read what is left: `make soak`, or `python -m tests.soak --minutes 1`.

A file that brings an importer down is written to tests/brokers/corpus/, which the suite replays from then on.
"""

import argparse
import hashlib
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

from tests.brokers.cases import CASES
from tests.brokers.disguises import sheet, workbook
from tests.brokers.fuzzing import check, spoil
from tests.conftest import BROKER_SAMPLES

HERE: Final = Path(__file__).parent / "brokers"
SLOW_S: Final = 20
CORPUS: Final = HERE / "corpus"


def seeds() -> list[Path]:
    """The files to start from: our own fixtures, and the real samples where they are."""
    samples = BROKER_SAMPLES.glob("*/*") if BROKER_SAMPLES.is_dir() else ()
    own = [*(HERE / "fixtures").iterdir(), *CORPUS.iterdir()]
    return sorted(path for path in (*own, *samples) if path.is_file() and path.suffix != ".md")


def workbooks() -> list[bytes]:
    """Some fixtures as workbooks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.xlsx"
        made = []
        for case in CASES[:6]:
            workbook(sheet(case).rows, path)
            made.append(path.read_bytes())
    return made


def soak(minutes: float, seed: int) -> int:
    """Run for so many minutes; the number of crashes found."""
    say(f"seed {seed}, {minutes} minutes")
    rng = random.Random(seed)
    contents = [*(path.read_bytes() for path in seeds()), *workbooks()]
    deadline = time.monotonic() + minutes * 60
    tried = 0
    crashes: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.csv"
        while time.monotonic() < deadline:
            path.write_bytes(spoil(rng.choice(contents), rng, contents))
            tried += 1
            started = time.monotonic()
            try:
                check(path)
                if time.monotonic() - started > SLOW_S:
                    raise TimeoutError(f"more than {SLOW_S} seconds for a small file")
            except Exception as error:  # noqa: BLE001  (whatever it is, it is what we look for)
                keep(path.read_bytes(), error, crashes)
    say(f"{tried} files, {len(crashes)} kinds of crash")
    return len(crashes)


def keep(content: bytes, error: Exception, crashes: set[str]) -> None:
    """Put a file into the corpus, one for each place that breaks."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    if place in crashes:
        return
    crashes.add(place)
    name = CORPUS / f"{hashlib.sha256(content).hexdigest()[:16]}.bin"
    name.write_bytes(content)
    say(f"{place}: {error} -> {name.name}")
    traceback.print_exception(error, limit=-4)


def say(line: str) -> None:
    """Tell at once how it goes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the arguments and soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    sys.exit(1 if soak(arguments.minutes, seed) else 0)


if __name__ == "__main__":
    main()
