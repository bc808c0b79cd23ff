import pytest

from schema import BadWebhookUrl, check_webhook_url, is_plain


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/gatekeeper",
        "https://hooks.example.com:8443/a?b=c",
        "http://127.0.0.1:8000/x",
        "http://[::1]:8000/x",
        "http://localhost/x",
    ],
)
def test_https_and_plain_http_to_this_machine_are_webhooks(url: str) -> None:
    assert check_webhook_url(url) == url
    assert is_plain(url) == url.startswith("http:")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "http://127.0.0.1.example.com/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "https://",
        "hooks.example.com",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#x",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\n",
        "https://hooks.exämple.com/",
        "https://hooks.example.com:99999/",
        "https://[::1/",
        "https://a.example/" + "x" * 2_048,
    ],
)
def test_another_text_is_none(url: str) -> None:
    with pytest.raises(BadWebhookUrl):
        check_webhook_url(url)
