"""`cache_response` on functions and methods."""

# ruff: noqa: ARG001, ARG002, ARG003, ARG005 - decorated functions have parameters for their keys; `running` is there

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest

import keel
from keel import cache_response
from keel.cache.contract import NoPrincipal, OtherPrincipal
from keel.context import principal
from keel.current import NoKeel
from keel.opening import Keel


@pytest.fixture(params=["memory", "valkey"])
async def running(request: pytest.FixtureRequest, redis_namespace: str) -> AsyncIterator[Keel]:
    """A Keel in this process alone, and one over a server."""
    url = None if request.param == "memory" else request.getfixturevalue("redis_url")
    async with Keel.open(url, redis_namespace) as opened:
        await until_live(opened)
        yield opened


async def until_live(opened: Keel) -> None:
    """Wait until the server is in use, if there is one."""
    for _ in range(500):
        if opened.redis is None or opened.cache.stats().mode == "live":
            return
        await asyncio.sleep(0.01)
    pytest.fail("the server is not in use after 5 s")


class Counted:
    """A source that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def next(self) -> int:
        self.asked += 1
        return self.asked


class _Injected:
    """What FastAPI's `Depends` looks like from outside."""

    def __init__(self) -> None:
        self.dependency = Counted


async def test_a_result_is_computed_once_and_kept(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def summary(account: int) -> tuple[int, int]:
        return account, source.next()

    assert await summary(7) == await summary(7) == (7, 1)
    assert await summary(8) == (8, 2)


async def test_a_ttl_may_be_a_timedelta_and_ends(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=timedelta(milliseconds=20))
    async def summary() -> int:
        return source.next()

    await summary()
    await asyncio.sleep(0.03)
    assert await summary() == 2


async def test_what_memory_has_lost_comes_back_from_the_server_as_what_it_was(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def totals(account: int) -> dict[str, Decimal]:
        source.next()
        return {"net": Decimal("1.50")}

    await totals(1)
    if running.redis is not None:
        running.cache._tiers.memory.drop_all()
    assert await totals(1) == {"net": Decimal("1.50")}
    assert source.asked == 1


async def test_none_is_a_result(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def nothing() -> None:
        source.next()

    await nothing()
    await nothing()
    assert source.asked == 1


async def test_an_exception_is_raised_and_not_kept(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def failing() -> int:
        if source.next() == 1:
            raise LookupError("the first time")
        return source.asked

    with pytest.raises(LookupError, match="the first time"):
        await failing()
    assert await failing() == 2


async def test_however_a_call_is_written_it_has_one_key(running: Keel) -> None:
    @cache_response(ttl=300)
    async def trades(account: int, symbol: str = "ES", *, limit: int = 50) -> int:
        return 0

    keys = {
        trades.key(1),
        trades.key(1, "ES"),
        trades.key(account=1),
        trades.key(limit=50, account=1),
        trades.key(1, symbol="ES", limit=50),
    }
    assert len(keys) == 1
    assert trades.key(1, "NQ") not in keys
    assert trades.key(1, limit=51) not in keys


async def test_arguments_that_are_equal_but_not_the_same_have_different_keys(running: Keel) -> None:
    @cache_response(ttl=300)
    async def anything(value: object) -> int:
        return 0

    @cache_response(ttl=300)
    async def pair(first: object, second: str) -> int:
        return 0

    values: list[Any] = [1, True, 1.0, "1", Decimal(1), b"1", (1,), [1], (True,), None, "None", {1}, {1: 1}]
    for _ in range(2):
        assert len({anything.key(value) for value in values}) == len(values)
        assert len({pair.key(1, "x"), pair.key(True, "x"), pair.key("1", "x")}) == 3  # noqa: FBT003 - that is the point


async def test_variadic_arguments_make_keys_too(running: Keel) -> None:
    @cache_response(ttl=300)
    async def tagged(*tags: str, **filters: int) -> tuple[tuple[str, ...], dict[str, int]]:
        return tags, filters

    assert await tagged("a", "b", x=1, y=2) == (("a", "b"), {"x": 1, "y": 2})
    assert tagged.key("a", y=2, x=1) == tagged.key("a", x=1, y=2)
    assert len({tagged.key("a", "b"), tagged.key("ab"), tagged.key("a", b=1)}) == 3


async def test_an_argument_without_a_key_is_refused_with_advice(running: Keel) -> None:
    @cache_response(ttl=300)
    async def of_source(source: Counted) -> int:
        return 0

    with pytest.raises(TypeError, match=r"of_source: .*Counted cannot be part of a cache key; .*key="):
        await of_source(Counted())


async def test_arguments_that_do_not_fit_are_refused_as_ever(running: Keel) -> None:
    @cache_response(ttl=300)
    async def one(account: int) -> int:
        return account

    with pytest.raises(TypeError, match="unexpected keyword"):
        await one(1, of=2)  # type: ignore[call-arg] # that is the point
    with pytest.raises(TypeError, match="missing a required"):
        await one()  # type: ignore[call-arg] # that is the point


async def test_what_is_injected_is_no_part_of_a_key(running: Keel) -> None:
    @cache_response(ttl=300)
    async def summary(account: int, session: Annotated[object, _Injected()] = None, other: object = _Injected()) -> int:
        return account

    assert summary.key(1, object(), object()) == summary.key(1)


async def test_invalidating_a_call_leaves_the_others(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def summary(account: int) -> int:
        return source.next()

    assert [await summary(1), await summary(2)] == [1, 2]
    assert await summary.invalidate(account=1)
    assert [await summary(1), await summary(2)] == [3, 2]


async def test_the_function_itself_is_there(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def summary() -> int:
        """What it is for."""
        return source.next()

    assert [await summary.uncached(), await summary.uncached(), await summary()] == [1, 2, 3]
    assert (summary.__name__, summary.__doc__) == ("summary", "What it is for.")


async def test_tags_are_filled_in_from_the_arguments(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300, tags=("accounts", "account:{account_id}"))
    async def summary(account_id: UUID, symbol: str = "") -> int:
        return source.next()

    one, other = uuid4(), uuid4()
    assert [await summary(one), await summary(one, "ES"), await summary(other)] == [1, 2, 3]
    await running.cache.invalidate_tags(f"account:{one}")
    assert [await summary(one), await summary(one, "ES"), await summary(other)] == [4, 5, 3]
    await running.cache.invalidate_tags("accounts")
    assert await summary(other) == 6


async def test_tags_may_be_worked_out_by_a_function(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300, tags=lambda accounts, *, limit: [f"account:{each}" for each in accounts])
    async def summary(accounts: tuple[int, ...], *, limit: int = 3) -> int:
        return source.next()

    await summary((1, 2))
    await running.cache.invalidate_tags("account:2")
    assert await summary((1, 2)) == 2


async def test_a_tag_for_which_there_is_no_parameter_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="there is no parameter 'account'; there are account_id"):

        @cache_response(ttl=300, tags=("account:{account}",))
        async def summary(account_id: int) -> int:
            return account_id


async def test_a_key_may_be_written_out_and_nothing_can_be_smuggled_into_it(running: Keel) -> None:
    @cache_response(ttl=300, key="trade:{trade_id}:{part}")
    async def trade(trade_id: str, part: str = "all") -> str:
        return trade_id

    assert trade.key("42").startswith("trade:42:all:")
    assert len({trade.key("1:x", "y"), trade.key("1", "x:y"), trade.key("1%3ax", "y")}) == 3
    assert len(trade.key("x" * 5000)) < 100
    await running.cache.invalidate_prefix("trade:42")


async def test_a_key_may_be_worked_out_and_counts_as_one_word(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300, key_prefix="sums", key=lambda source, name: f"{name}:x")
    async def total(source: Counted, name: str) -> int:
        return source.next()

    assert total.key(source, "a").startswith("sums:a%3ax:")
    assert await total(source, "a") == await total(Counted(), "a") == 1


async def test_a_version_is_asked_for_with_each_read(running: Keel) -> None:
    source, version = Counted(), [1]

    @cache_response(ttl=300, version=lambda: version[0])
    async def summary() -> int:
        return source.next()

    assert [await summary(), await summary()] == [1, 1]
    version[0] = 2
    assert [await summary(), await summary()] == [2, 2]


# Users


async def test_a_users_entries_are_his_own(running: Keel) -> None:
    @cache_response(ttl=300, key_prefix="portfolio", user_aware=True)
    async def portfolio() -> str:
        return str(keel.context.current_principal())

    for user in (1, 10, 1):
        with principal(user):
            assert await portfolio() == str(user)
            assert portfolio.key().startswith(f"portfolio:user_{user}:")


async def test_forgetting_user_1_leaves_user_10(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300, key_prefix="portfolio", user_aware=True)
    async def portfolio(user_id: int) -> int:
        return source.next()

    async def both() -> list[int]:
        found = []
        for user in (1, 10):
            with principal(user):
                found.append(await portfolio(user))
        return found

    assert await both() == [1, 2]
    await running.cache.invalidate_prefix("portfolio:user_1")
    assert await both() == [3, 2]
    await running.cache.invalidate_tags("user:10")
    assert await both() == [3, 4]
    await running.cache.invalidate_pattern("portfolio:*")
    assert await both() == [5, 6]


async def test_where_nobody_asks_nothing_is_read_or_written(running: Keel, caplog: pytest.LogCaptureFixture) -> None:
    source = Counted()

    @cache_response(ttl=300, user_aware=True)
    async def portfolio(user_id: int) -> int:
        return source.next()

    assert [await portfolio(1), await portfolio(1)] == [1, 2]
    assert running.cache.stats().total.misses == 0
    assert running.cache.stats().entries == 0
    assert caplog.text.count("is not cached, as nobody is known to ask") == 1
    with pytest.raises(NoPrincipal, match="with principal"):
        portfolio.key(1)
    with pytest.raises(NoPrincipal):
        await portfolio.invalidate(1)


async def test_asking_for_somebody_elses_entry_raises_before_anything_is_done(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300, user_aware=True)
    async def portfolio(user_id: int) -> int:
        return source.next()

    with principal(2), pytest.raises(OtherPrincipal):
        await portfolio(1)
    assert source.asked == 0


async def test_a_user_is_the_same_as_uuid_and_as_text(running: Keel) -> None:
    @cache_response(ttl=300, key_prefix="p", user_aware=True)
    async def portfolio(user_id: UUID | str) -> int:
        return 1

    user = uuid4()
    keys = set()
    for asking in (user, str(user), str(user).upper()):
        with principal(asking):
            keys |= {portfolio.key(user), portfolio.key(str(user)), portfolio.key(str(user).upper())}
    assert len(keys) == 1


async def test_a_user_cannot_take_the_name_of_a_prefix(running: Keel) -> None:
    @cache_response(ttl=300, key_prefix="p", user_aware=True)
    async def portfolio() -> int:
        return 1

    with principal("1:x"):
        assert portfolio.key().startswith("p:user_1%3ax:")


# Methods


class Books:
    def __init__(self, source: Counted) -> None:
        self._source = source

    @cache_response(ttl=300)
    async def total(self, account: int) -> int:
        """What an account's books come to."""
        return self._source.next()

    @classmethod
    @cache_response(ttl=300)
    async def name(cls, account: int) -> str:
        return cls.__name__

    @staticmethod
    @cache_response(ttl=300)
    async def of(account: int) -> int:
        return account


class OtherBooks(Books):
    pass


class NamedBooks(Books):
    def __init__(self, source: Counted, name: str) -> None:
        super().__init__(source)
        self._name = name

    def __cache_key__(self) -> str:
        return self._name


async def test_a_method_is_known_by_its_arguments_and_class(running: Keel) -> None:
    source = Counted()
    first, second = Books(source), Books(source)
    assert await first.total(1) == await second.total(1) == 1
    assert await OtherBooks(source).total(1) == 2
    assert await first.total.uncached(1) == 3
    assert await Books.total(first, 1) == 1
    assert await first.total.invalidate(1)
    assert await second.total(account=1) == 4
    assert first.total.key(1) == second.total.key(1) != first.total.key(2)
    assert Books.total.__doc__ == "What an account's books come to."


async def test_a_class_says_what_its_objects_are_known_by(running: Keel) -> None:
    source = Counted()
    assert await NamedBooks(source, "a").total(1) == 1
    assert await NamedBooks(source, "b").total(1) == 2
    assert await NamedBooks(Counted(), "a").total(1) == 1


async def test_class_and_static_methods_are_kept_too(running: Keel) -> None:
    name: Any = Books.name  # mypy does not bind what is callable but no function
    other: Any = OtherBooks.name
    of: Any = Books.of
    assert [await name(1), await other(1), await name(1)] == ["Books", "OtherBooks", "Books"]
    assert await of(3) == 3


# Where it is used wrongly


async def test_without_a_keel_the_error_says_how_to_start_one() -> None:
    @cache_response(ttl=300)
    async def summary() -> int:
        return 1

    with pytest.raises(NoKeel, match=r"Keel\.open"):
        await summary()


async def test_a_function_that_is_not_async_is_refused() -> None:
    def plain() -> int:
        return 1

    with pytest.raises(TypeError, match="is no async function"):
        cache_response(ttl=300)(plain)  # type: ignore[arg-type] # that is the point


async def test_two_hundred_concurrent_misses_compute_once(running: Keel) -> None:
    source = Counted()

    @cache_response(ttl=300)
    async def slow() -> int:
        await asyncio.sleep(0.02)
        return source.next()

    assert set(await asyncio.gather(*(slow() for _ in range(200)))) == {1}


def test_what_keel_does_not_offer_is_an_attribute_error() -> None:
    assert keel.cache_response is cache_response
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = keel.nothing
