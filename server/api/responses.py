"""The table of verdicts: every status and message that an answer can have, and when it has it."""

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """One line of the table; `headers` are those that only this kind has."""

    status: int
    message: str
    when: str
    headers: tuple[str, ...] = ()


VALID: Final = Kind(
    200, "Valid Schema", "The transaction meets the rule; with an `id`, it is durable."
)
ALIVE: Final = Kind(200, "Alive", "The process lives.")
READY: Final = Kind(200, "Ready", "A transaction sent now would be accepted.")
INVALID_SCHEMA: Final = Kind(400, "Invalid Schema", "`error` lists every fault of the transaction.")
INVALID_JSON: Final = Kind(400, "Invalid JSON", "The body is not JSON, or not UTF-8.")
BAD_REQUEST: Final = Kind(400, "Bad Request", "The request is not HTTP as it must be.")
UNAUTHORIZED: Final = Kind(
    401,
    "Unauthorized",
    "API keys are configured and this one is missing or wrong.",
    ("WWW-Authenticate",),
)
FORBIDDEN: Final = Kind(403, "Forbidden", "Scripts of this origin are not let in.")
NOT_FOUND: Final = Kind(404, "Not Found", "There is none, or not yet.")
METHOD_NOT_ALLOWED: Final = Kind(
    405, "Method Not Allowed", "The route takes other methods.", ("Allow",)
)
REQUEST_TIMEOUT: Final = Kind(408, "Request Timeout", "The body did not come in time.")
PAYLOAD_TOO_LARGE: Final = Kind(
    413, "Payload Too Large", "The body has too many bytes, as sent or decompressed."
)
UNSUPPORTED: Final = Kind(
    415,
    "Unsupported Media Type",
    "Another Content-Type or Content-Encoding than the route takes.",
)
INTERNAL: Final = Kind(
    500, "Internal Server Error", "The server failed; send again with an Idempotency-Key."
)
UNAVAILABLE: Final = Kind(
    503,
    "Unavailable",
    "Not durably accepted, or not answered in time; send it again.",
    ("Retry-After",),
)
