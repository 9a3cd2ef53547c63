import pytest

from keel.redis.urls import Address, Kind, read_url


def test_one_server_by_tcp() -> None:
    target = read_url("redis://ada:s%40me@cache.example:6380/3")
    assert (target.kind, target.addresses, target.tls) == (Kind.STANDALONE, (Address("cache.example", 6380),), False)
    assert target.options == {"username": "ada", "password": "s@me", "db": 3}


def test_what_is_left_out_is_the_usual() -> None:
    assert read_url("redis://").addresses == (Address("localhost", 6379),)
    assert read_url("redis+sentinel://a/trade").addresses == (Address("a", 26379),)
    assert read_url("redis+cluster://a").addresses == (Address("a", 6379),)


def test_an_ipv6_address_keeps_its_brackets_in_text() -> None:
    (address,) = read_url("redis://[::1]:7000").addresses
    assert (address.host, str(address)) == ("::1", "[::1]:7000")


def test_a_unix_socket() -> None:
    target = read_url("unix:///run/valkey.sock?db=2")
    assert str(target.addresses[0]) == "/run/valkey.sock"
    assert target.options == {"db": 2}


def test_tls_by_scheme_with_its_options() -> None:
    target = read_url("rediss://cache.example?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false")
    assert target.tls
    assert target.options == {"ssl_ca_certs": "/etc/ca.pem", "ssl_check_hostname": False}


@pytest.mark.parametrize("asks", ["ssl=true", "ssl_ca_certs=/etc/ca.pem"])
def test_tls_by_option(asks: str) -> None:
    assert read_url(f"redis+cluster://a?{asks}").tls
    assert read_url(f"redis+sentinel://a/trade?{asks}").tls
    assert not read_url("redis+cluster://a").tls


def test_sentinels_and_their_own_password() -> None:
    target = read_url("redis+sentinel://ada:pw@s1:1,[::1]:2,s3/trade/4?sentinel_password=other&ssl_cert_reqs=none")
    assert target.addresses == (Address("s1", 1), Address("::1", 2), Address("s3", 26379))
    assert target.service == "trade"
    assert target.options == {"username": "ada", "password": "pw", "db": 4, "ssl_cert_reqs": "none"}
    assert target.sentinel_options == {"password": "other", "ssl_cert_reqs": "none"}


def test_a_cluster_and_some_of_its_nodes() -> None:
    target = read_url("redis+cluster://:p,w@n1:1,n2:2/0")
    assert (target.kind, target.addresses) == (Kind.CLUSTER, (Address("n1", 1), Address("n2", 2)))
    assert target.options == {"password": "p,w"}


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@a",
        "hunter2",
        "redis://:hunter2@a/nought",
        "redis://:hunter2@a:port",
        "redis://:hunter2@a?max_connections=5",
        "redis+sentinel://:hunter2@a:1",
        "redis+sentinel://:hunter2@a:1/trade/nought",
        "redis+cluster://:hunter2@a:1/3",
        "redis+cluster://:hunter2@a:port",
        "redis://:hunter2/5@a:1",
        "redis://:hunter2?5@a:1",
        "redis://:hunter2#5@a:1",
        "redis://:5?hunter2=5@a:1",
        "redis://:hunter2\u2100@a",
        "redis://a:hunter2",
        "redis+sentinel://:hunter2/5@a:1",
        "redis+sentinel://:hunter2#5@a:1/trade",
        "redis+sentinel://:hunter2\u2100@a:1/trade",
        "redis+cluster://:hunter2?5@a:1",
    ],
)
def test_a_url_that_makes_no_sense_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match="Redis URL") as refused:
        read_url(url)
    assert "hunter" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_the_text_of_a_target_names_no_secret() -> None:
    assert "hunter2" not in repr(read_url("redis+sentinel://:hunter2@a/trade?sentinel_password=hunter2"))
