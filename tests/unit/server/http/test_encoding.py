import gzip
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.encoding import PART_BYTES, BrokenEncoding, UnknownEncoding, decoder

TEXT = b"".join(b"%d " % n for n in range(100_000))


def decode(encoding: str, body: bytes, step: int) -> bytes:
    decoding = decoder(encoding)
    parts: list[bytes] = []
    for start in range(0, len(body), step):
        parts += decoding.feed(body[start : start + step])
    decoding.end()
    return b"".join(parts)


@pytest.mark.parametrize("step", [1, 2, 1000, 10**9])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT[:5000]),
        ("gzip", gzip.compress(TEXT[:5000], mtime=0)),
        ("gzip", b"".join(gzip.compress(TEXT[at : at + 100]) for at in range(0, 5000, 100))),
        ("gzip", gzip.compress(b"") * 9 + gzip.compress(TEXT[:5000]) + gzip.compress(b"")),
        ("X-GZIP ", gzip.compress(b"", mtime=0)),
        ("deflate", zlib.compress(TEXT[:5000])),
        ("deflate", zlib.compress(TEXT[:5000], wbits=-15)),
    ],
)
def test_the_same_comes_out_however_it_is_cut(encoding: str, body: bytes, step: int) -> None:
    whole = decode(encoding, body, 10**9)
    assert whole in {TEXT[:5000], b""}
    assert decode(encoding, body, step) == whole


def test_no_part_is_large() -> None:
    parts = list(decoder("gzip").feed(gzip.compress(TEXT, mtime=0)))
    assert b"".join(parts) == TEXT
    assert max(map(len, parts)) <= PART_BYTES


def test_a_bomb_costs_no_memory() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    try:
        size = sum(map(len, decoder("gzip").feed(bomb)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 100_000_000
    assert peak < 1_000_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        gzip.compress(TEXT, mtime=0)[:-1],
        gzip.compress(TEXT, mtime=0) + b"\0",
        gzip.compress(TEXT, mtime=0) + b"x",
        gzip.compress(TEXT, mtime=0) * 2 + gzip.compress(TEXT, mtime=0)[:-1],
    ],
)
@pytest.mark.parametrize("step", [1000, 10**9])
def test_what_is_not_one_whole_stream_is_broken(body: bytes, step: int) -> None:
    with pytest.raises(BrokenEncoding):
        decode("gzip", body, step)


def test_many_members_are_decoded_in_time_that_grows_with_their_bytes() -> None:
    members = gzip.compress(b"", mtime=0) * 50_000
    began = time.process_time()
    assert decode("gzip", members, 10**9) == b""
    assert time.process_time() - began < 5  # copying what follows each would take minutes


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6), st.integers(1, 200))
def test_members_are_one_body_however_they_are_cut(texts: list[bytes], step: int) -> None:
    assert decode("gzip", b"".join(map(gzip.compress, texts)), step) == b"".join(texts)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress", "chunked"])
def test_an_unknown_encoding_says_which_are_known(encoding: str) -> None:
    with pytest.raises(UnknownEncoding, match="gzip or deflate"):
        decoder(encoding)
