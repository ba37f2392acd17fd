"""The exactly-once suite is worth something: it fails on three services that are each wrong in one place."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.embedded import Topics
from tests.end_to_end.scene import Scene, cut_commits, staged, two_owners

pytestmark = pytest.mark.timeout(900)  # real servers and processes, on a machine that may be busy

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file, and the story that must notice it."""

    name: str
    file: str
    right: str
    wrong: str
    story: Callable[[Scene, float], str]


MUTANTS = (
    Mutant(
        "no compare-and-swap",
        "postgres/offsets.py",
        "WHERE o.next_offset = n.low AND o.cluster_id",
        "WHERE o.cluster_id",
        two_owners,
    ),
    Mutant(
        "no re-seek",
        "kafka/consumer.py",
        "            self._consumer.seek(each, offset)\n",
        "            if each not in self.__dict__.setdefault('sought', set()):\n"
        "                self._consumer.seek(each, offset)\n"
        "            self.__dict__['sought'].add(each)\n",
        cut_commits,
    ),
    Mutant(
        "delta outside the transaction",
        "workers/apply.py",
        "            joins.finish(",
        "            self.connection.execute('COMMIT')\n"
        "            self.connection.execute('BEGIN')\n"
        "            joins.finish(",
        cut_commits,
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_suite_notices_a_service_with(mutant: Mutant, tmp_path: Path, broker: str, topics: Topics) -> None:
    with staged(5, 3000, broker, topics, source=mutated(mutant, tmp_path / "source"), every=3) as scene:
        try:
            complaint = mutant.story(scene, 60.0)
        except TimeoutError as failure:
            complaint = str(failure)
        print(complaint)
        assert complaint, f"nobody noticed: {mutant.name}"


def mutated(mutant: Mutant, folder: Path) -> Path:
    """A copy of the source tree with the one change."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "monitor", folder / "monitor", ignore=ignored)
    shutil.copytree(ROOT / "migrations", folder / "monitor" / "migrations", ignore=ignored)
    path = folder / "monitor" / mutant.file
    text = path.read_text()
    assert text.count(mutant.right) == 1, f"{mutant.file} has changed: bring the mutant up to date"
    path.write_text(text.replace(mutant.right, mutant.wrong))
    return folder
