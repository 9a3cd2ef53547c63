"""Rules: for which requests, for whom; replaced while the program runs."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from keel.ratelimit.asking import Asker, Asking
from keel.ratelimit.contract import Outage
from keel.ratelimit.quota import QuotaMalformed
from keel.ratelimit.rulefile import RuleFile, RulesMalformed, read
from keel.ratelimit.rules import Per, Rule, RuleBook

API = Rule("api", ["100/min burst 50"], routes=["*"], excluding=["/health"], tiers={"admin": []}, leased=True)
IMPORTS = Rule("imports", ["10/hour", "50/day in UTC"], routes=["POST /imports"], by_user_zone=True)
LOGIN = Rule("login", ["20/5min"], per=Per.IP, routes=["POST /login"], outage=Outage.CLOSED, shadow=True, leased=True)
ANN = Asking("192.0.2.1", Asker("user:1", "user", "Asia/Tokyo"))
NOBODY = Asking("192.0.2.1")


def test_a_request_is_charged_by_all_rules_that_cover_it_each_subject_at_once() -> None:
    book = RuleBook([API, IMPORTS, LOGIN])
    (charge,) = book.charges("POST", "/imports", ANN)
    assert charge.subject == "user:1"
    assert [(each.name, each.zone) for each in charge.limits] == [
        ("api", "UTC"),
        ("imports", "UTC"),
        ("imports", "Asia/Tokyo"),
    ]
    assert [each.subject for each in book.charges("POST", "/login", ANN)] == ["user:1", "ip:192.0.2.1"]
    assert [each.subject for each in book.charges("POST", "/login", NOBODY)] == ["ip:192.0.2.1"]
    assert book.charges("GET", "/health", ANN) == []
    assert len(book.charges("GET", "/imports", NOBODY)[0].limits) == 1


def test_a_tier_has_limits_of_its_own_or_none() -> None:
    book = RuleBook([API])
    assert book.charges("GET", "/trades", Asking("", Asker("user:2", "admin"))) == []
    assert book.limits("api", tier="admin") == ()
    assert [each.burst for each in book.limits("api")] == [50]
    assert book.limits("unheard of") == ()


def test_what_a_rule_says_holds_for_its_limits() -> None:
    (limit,) = RuleBook([LOGIN]).limits("login")
    assert (limit.name, limit.outage, limit.shadow, limit.leased) == ("login", Outage.CLOSED, True, False)
    assert RuleBook([API]).limits("api")[0].leased


def test_a_tier_can_share_one_count_and_so_can_everybody() -> None:
    shared = RuleBook([Rule("a", ["1/s"], Per.TIER, ["*"]), Rule("b", ["1/s"], Per.ALL, ["*"])])
    assert [each.subject for each in shared.charges("GET", "/", ANN)] == ["tier:user", "all"]
    assert [each.subject for each in shared.charges("GET", "/", NOBODY)] == ["tier:", "all"]


def test_two_rules_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two rules are called api"):
        RuleBook([API, API])
    with pytest.raises(QuotaMalformed):
        Rule("api", ["often"])


def test_replaced_rules_hold_from_the_next_request_on() -> None:
    book = RuleBook([API])
    assert book.charges("GET", "/trades", ANN)
    book.replace([IMPORTS])
    assert book.charges("GET", "/trades", ANN) == []
    assert [each.name for each in book] == ["imports"]


def test_a_file_changes_adds_and_takes_away_rules() -> None:
    text = """
        [api]
        limits = ["7/s"]
        tiers.pro = ["70/s"]
        outage = "open"

        [imports]
        enabled = false

        [exports]
        limits = ["2 at once"]
        per = "ip"
        routes = ["/export"]
    """
    book = RuleBook(read(text, [API, IMPORTS]))
    assert [each.name for each in book] == ["api", "exports"]
    (limit,) = book.limits("api")
    assert (limit.count, limit.outage, limit.leased) == (7, Outage.OPEN, True)
    assert book.limits("api", tier="pro")[0].count == 70
    assert book.charges("GET", "/health", ANN) == []
    assert [each.subject for each in book.charges("GET", "/export", ANN)] == ["user:1", "ip:192.0.2.1"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[api", "Expected"),
        ("api = 3", "no table"),
        ("[api]\nlimit = []", "limit is no field"),
        ("[api]\nlimits = '1/s'", "not of type list"),
        ("[api]\nlimits = [1]", "no text"),
        ("[api]\ntiers.pro = [1]", "no text"),
        ("[api]\nlimits = ['often']", "is no limit"),
        ("[api]\nper = 'moon'", "one of user, ip, tier, all"),
        ("[api]\nshadow = 'yes'", "not of type bool"),
    ],
)
def test_a_file_with_mistakes_says_which(text: str, mistake: str) -> None:
    with pytest.raises(RulesMalformed, match=mistake):
        read(text, [API])


async def test_a_file_is_followed_and_one_with_mistakes_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("keel.ratelimit.rulefile.LOOK_EVERY_S", 0.01)
    caplog.set_level(logging.INFO)
    path, book = tmp_path / "limits.toml", RuleBook()
    path.write_text("[api]\nlimits = ['5/s']\n")
    file = RuleFile(path, book, [API])
    file.load()
    following = asyncio.get_running_loop().create_task(file.follow())

    async def written(text: str) -> None:
        before = len(caplog.records)
        path.write_text(text)
        os.utime(path, ns=(before + 1, before + 1))
        async with asyncio.timeout(5):
            while len(caplog.records) == before:  # noqa: ASYNC110 - it is no event
                await asyncio.sleep(0.01)

    assert book.limits("api")[0].count == 5
    await written("[api]\nlimits = ['6/s']\n")
    assert book.limits("api")[0].count == 6
    await written("[api]\nlimits = ['often']\n")
    assert book.limits("api")[0].count == 6
    await written("[api]\nlimits = ['7/s']\n")
    assert book.limits("api")[0].count == 7
    following.cancel()
