from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from tradesense.settings import MASK, Settings, SettingsInvalid

POSTGRESQL = "postgresql://trader:secret@db.example.com:5432/journal?password=hidden"


def test_nothing_need_be_set() -> None:
    settings = Settings.load({})
    assert settings.database == f"sqlite:///{Path('data').absolute() / 'tradesense.db'}"
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert (settings.session_idle, settings.session_lifetime) == (timedelta(days=7), timedelta(days=30))
    assert (settings.public_url, settings.is_https) == ("http://localhost:8000", False)


def test_the_environment_sets_and_arguments_override_it() -> None:
    environment = {
        "TRADESENSE_DATA_DIR": "/srv/journal",
        "DATABASE_URL": POSTGRESQL,
        "PORT": "9000",
        "HOST": "",
        "WEB_CONCURRENCY": "4",
        "REDIS_URL": "redis://cache.example.com",
        "TRADESENSE_CORS_ORIGINS": "https://A.example.com/, http://localhost:5173",
        "TRADESENSE_REGISTRATION": "closed",
        "SOMETHING_ELSE": "x",
    }
    settings = Settings.load(environment, port=9001)
    assert settings.data_dir == Path("/srv/journal")
    assert settings.database == POSTGRESQL
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 9001, 4)
    assert settings.cors_origins == ("https://a.example.com", "http://localhost:5173")
    assert settings.public_url == "http://localhost:9001"
    assert settings.registration == "closed"


def test_the_environment_of_the_process_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9002")
    assert Settings.load().port == 9002


def test_all_mistakes_are_listed_at_once_by_their_variables() -> None:
    environment = {
        "PORT": "http",
        "DATABASE_URL": "mysql://root:secret@host/db",
        "REDIS_URL": "http://host",
        "TRADESENSE_CORS_ORIGINS": "*",
        "TRADESENSE_PUBLIC_URL": "http://journal.example.com",
        "TRADESENSE_TIMEZONE": "Mars",
        "TRADESENSE_CURRENCY": "dollars",
        "LOG_LEVEL": "loud",
    }
    with pytest.raises(SettingsInvalid) as refused:
        Settings.load(environment)
    assert sorted(each.partition(":")[0] for each in refused.value.mistakes) == sorted(environment)
    assert "secret" not in str(refused.value)


def test_half_a_password_that_stands_for_the_port_is_not_shown() -> None:
    with pytest.raises(SettingsInvalid, match="DATABASE_URL: has a port that is none") as refused:
        Settings.load({"DATABASE_URL": "postgresql://trader:half/other@host/db"})
    assert "half" not in str(refused.value)


@pytest.mark.parametrize("way", ["a folder", "beneath a file", "far beneath a file"])
def test_a_log_file_that_cannot_be_written_is_a_mistake_among_others(tmp_path: Path, way: str) -> None:
    (tmp_path / "file").touch()
    path = {"a folder": tmp_path, "beneath a file": tmp_path / "file/log"}.get(way, tmp_path / "file/a/b/log")
    with pytest.raises(SettingsInvalid) as refused:
        Settings.load({"LOG_FILE": str(path), "PORT": "http"})
    assert [each.partition(":")[0] for each in refused.value.mistakes] == ["PORT", "LOG_FILE"]
    assert f"LOG_FILE: {path} cannot be written" in refused.value.mistakes


def test_a_log_file_need_not_be_there_yet_nor_its_folder(tmp_path: Path) -> None:
    (tmp_path / "old.log").touch()
    for path in (tmp_path / "old.log", tmp_path / "a/b/new.log", Path("new.log")):
        assert Settings.load({"LOG_FILE": str(path)}).log_file == path
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TRADESENSE_SESSION_IDLE_DAYS": "31"}, "longer than TRADESENSE_SESSION_DAYS"),
        ({"WEB_CONCURRENCY": "2"}, "needs a DATABASE_URL of PostgreSQL"),
        ({"WEB_CONCURRENCY": "2", "DATABASE_URL": POSTGRESQL}, "needs a REDIS_URL"),
        ({"TRADESENSE_WORK": "workers"}, "needs a DATABASE_URL of PostgreSQL and a REDIS_URL"),
        ({"TRADESENSE_WORK": "workers", "DATABASE_URL": POSTGRESQL}, "needs a DATABASE_URL of PostgreSQL and a REDIS"),
        ({"REDIS_CACHE_URL": "redis://cache.example.com"}, "needs a REDIS_URL beside it"),
        ({"TRADESENSE_METRICS_PORT": "8000"}, "TRADESENSE_METRICS_PORT is the API's own, PORT"),
        ({"TRADESENSE_PUBLIC_URL": "https://a.example.com/journal"}, "is no origin"),
        ({"TRADESENSE_CORS_ORIGINS": "https://u:p@a.example.com"}, "is no origin"),
    ],
)
def test_settings_must_agree(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        Settings.load(environment)


def test_an_unknown_argument_is_a_mistake() -> None:
    with pytest.raises(ValidationError):
        Settings(prot=5)  # type: ignore[call-arg]


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = Settings.load({"DATABASE_URL": POSTGRESQL, "REDIS_PRIVATE_URL": "rediss://:secret@cache.example.com/0"})
    shown = settings.shown()
    assert shown["DATABASE_URL"] == f"postgresql://trader:{MASK}@db.example.com:5432/journal"
    assert shown["REDIS_URL"] == f"rediss://:{MASK}@cache.example.com/0"
    assert shown["TRADESENSE_CORS_ORIGINS"] == ""
    for text in (str(shown), repr(settings), settings.model_dump_json()):
        assert "secret" not in text
        assert "hidden" not in text


def test_the_address_of_a_sentry_is_checked_and_its_key_is_masked() -> None:
    shown = Settings.load({"SENTRY_DSN": "https://c0ffee@sentry.example.com/7"}).shown()
    assert shown["SENTRY_DSN"] == f"https://{MASK}@sentry.example.com/7"
    for wrong in ("https://sentry.example.com/7", "https://c0ffee@sentry.example.com/", "c0ffee"):
        with pytest.raises(SettingsInvalid, match="SENTRY_DSN"):
            Settings.load({"SENTRY_DSN": wrong})


def test_a_private_address_of_redis_goes_before_a_public_one() -> None:
    settings = Settings.load({"REDIS_URL": "redis://public", "REDIS_PRIVATE_URL": "redis://private"})
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://private"


def test_an_https_address_makes_the_instance_one() -> None:
    assert Settings.load({"TRADESENSE_PUBLIC_URL": "https://journal.example.com"}).is_https
