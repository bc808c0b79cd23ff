import base64
from pathlib import Path

from ops.notify import read_notify_keys, secret_of


def test_each_url_has_its_own_secret_of_32_bytes() -> None:
    key = b"k" * 32
    one, other = secret_of("https://a.example/1", key), secret_of("https://a.example/2", key)
    assert one != other
    assert one == secret_of("https://a.example/1", key)
    assert one != secret_of("https://a.example/1", b"l" * 32)
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32


def test_a_file_may_have_the_next_key_and_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("new\nold\n")
    assert read_notify_keys(file) == [b"new", b"old"]
