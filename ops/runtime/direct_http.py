"""HTTP requests to our own services: never through a proxy of the environment.

urllib obeys `http_proxy` and `all_proxy` also for loopback addresses, unless `no_proxy` lists them.
"""

import functools
import io
import urllib.error
import urllib.request
from http.client import HTTPResponse
from typing import cast

_MAX_ERROR_BYTES = 1_000_000


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_url(url: str | urllib.request.Request, timeout: float | None) -> HTTPResponse:
    """Do what `urllib.request.urlopen` does, without a proxy.

    An HTTPError that it raises holds its body in memory: nobody needs to close it.
    """
    try:
        return cast("HTTPResponse", _opener().open(url, timeout=timeout))
    except urllib.error.HTTPError as error:
        with error:
            body = io.BytesIO(error.read(_MAX_ERROR_BYTES))
        raise urllib.error.HTTPError(
            error.url, error.code, error.reason, error.headers, body
        ) from None
