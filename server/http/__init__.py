"""What HTTP needs whatever the API is: connections, limits, bodies, access, the log of requests.

Must not depend on routes or verdicts: it raises Refusal; the application's RENDER_REFUSAL renders.
"""

from server.http import body, cors, local_access, refusal
from server.http.acceptor import Acceptor
from server.http.auth import (
    API_KEY,
    KEYS,
    OPEN_ROUTES,
    SOURCE,
    authenticate,
    check_key_again,
)
from server.http.body import BODY_LIMITS, BODY_SECONDS, BodyLimits, defer_100_continue
from server.http.connection import SECONDS, Connection, ConnectionSeconds
from server.http.fair_share import LOOP_TURNS, FairLimit, FairTurns, source_of, steps_of
from server.http.limits import IN_FLIGHT, InFlight
from server.http.middleware import LOG_FIELDS, name_request, request_middleware
from server.http.rate import RATE_LIMITS, RateLimits, limit_rate
from server.http.refusal import RENDER_REFUSAL, Refusal, RequestFault, ResponseKind
from server.http.request_tracing import trace_request

__all__ = [
    "API_KEY",
    "BODY_LIMITS",
    "BODY_SECONDS",
    "IN_FLIGHT",
    "KEYS",
    "LOG_FIELDS",
    "LOOP_TURNS",
    "OPEN_ROUTES",
    "RATE_LIMITS",
    "RENDER_REFUSAL",
    "SECONDS",
    "SOURCE",
    "Acceptor",
    "BodyLimits",
    "Connection",
    "ConnectionSeconds",
    "FairLimit",
    "FairTurns",
    "InFlight",
    "RateLimits",
    "Refusal",
    "RequestFault",
    "ResponseKind",
    "authenticate",
    "body",
    "check_key_again",
    "cors",
    "defer_100_continue",
    "limit_rate",
    "local_access",
    "name_request",
    "refusal",
    "request_middleware",
    "source_of",
    "steps_of",
    "trace_request",
]
