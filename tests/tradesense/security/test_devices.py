"""What sessions are used on: read from the user agents of real programs, and never guessed."""

import pytest

from tradesense.security.service.devices import device

MOZILLA = "Mozilla/5.0"
WINDOWS = f"{MOZILLA} (Windows NT 10.0; Win64; x64)"
MAC = f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = f"{MOZILLA} (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        (f"{WINDOWS} {KHTML} Chrome/126.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} {KHTML} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} {KHTML} Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0", "Opera on Windows"),
        (f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", "Safari on macOS"),
        (f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{IPHONE} CriOS/126.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{IPHONE} FxiOS/127.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (f"{MOZILLA} (iPad; CPU OS 17_5 like Mac OS X) {KHTML} Version/17.5 Safari/604.1", "Safari on iPad"),
        (f"{MOZILLA} (Linux; Android 10; K) {KHTML} Chrome/126.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{MOZILLA} (Linux; Android 14) {KHTML} SamsungBrowser/25.0 Chrome/121.0", "Samsung Internet on Android"),
        (f"{MOZILLA} (X11; CrOS x86_64 14541.0.0) {KHTML} Chrome/126.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
        ("curl/8.5.0", "curl"),
        ("Wget/1.21.4", "Wget"),
        ("python-httpx/0.28.1", "Python"),
        ("python-requests/2.32.3", "Python"),
        ("Go-http-client/2.0", "Go"),
        ("PostmanRuntime/7.39.0", "Postman"),
        ("okhttp/4.12.0", "Java"),
        (f"{IPHONE}", "iPhone"),
        ("Phone/1", None),
        ("not curl/8", None),
        ("Firefox", None),
        ("", None),
        (None, None),
    ],
)
def test_a_device_is_named_by_what_its_user_agent_says(user_agent: str | None, name: str | None) -> None:
    assert device(user_agent) == name
