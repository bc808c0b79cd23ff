"""HTTP requests to our own services: never through a proxy of the environment.

urllib obeys `http_proxy` and `all_proxy` also for loopback addresses, unless `no_proxy` lists them.
"""

import functools
import urllib.request
from http.client import HTTPResponse
from typing import cast


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_url(url: str | urllib.request.Request, timeout: float | None) -> HTTPResponse:
    """Do what `urllib.request.urlopen` does, without a proxy."""
    return cast("HTTPResponse", _opener().open(url, timeout=timeout))
