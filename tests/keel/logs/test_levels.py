from datetime import timedelta

import pytest

from keel.logs.levels import MOST_LOGGERS, Levels, level_name


def test_the_nearest_level_above_holds() -> None:
    levels = Levels("info")
    levels.set("keel.redis", "debug")
    levels.set("keel", "error")
    names = ["keel.redis.link", "keel.redis", "keel.cache", "keelhaul", ""]
    assert [levels.of(name) for name in names] == [10, 10, 40, 20, 20]
    levels.set("root", "critical")
    levels.reset("keel")
    assert [levels.of(name) for name in names] == [10, 10, 50, 50, 50]


def test_a_level_holds_for_as_long_as_it_was_set() -> None:
    levels, told = Levels("info"), list[bool]()
    levels.changed.append(lambda: told.append(True))
    levels.set("a", "debug", timedelta(0))
    levels.set("b", "debug", timedelta(hours=1))
    assert (levels.of("a.b"), levels.of("b")) == (20, 10)
    assert [*levels.overrides()] == ["b"]
    assert len(told) == 3


def test_what_is_no_level_is_refused() -> None:
    levels = Levels("info")
    with pytest.raises(ValueError, match="loud is no level"):
        levels.set("a", "loud")
    assert not levels.overrides()


def test_only_so_many_loggers_are_set_apart_or_remembered() -> None:
    levels = Levels("info")
    for number in range(MOST_LOGGERS // 10):
        levels.set(f"a{number}", "debug")
    with pytest.raises(ValueError, match="too many"):
        levels.set("one more", "debug")
    levels.set("a0", "error")
    for number in range(MOST_LOGGERS + 10):
        assert levels.of(f"b{number}") == 20
    assert len(levels._effective) == MOST_LOGGERS


def test_levels_of_others_have_the_name_of_the_nearest_below() -> None:
    assert [level_name(level) for level in (0, 5, 10, 25, 31, 99)] == [
        "debug",
        "debug",
        "debug",
        "info",
        "warning",
        "critical",
    ]
