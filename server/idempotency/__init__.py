"""The registry of Idempotency-Keys: one key, one effect, whichever server gets the requests.

A key stands for the body, ordering key and id of its first request for IDEMPOTENCY_HOURS. The
servers of a machine share an SQLite file; with IDEMPOTENCY_STORE those of several machines share a
Redis. It must not know of HTTP, nor of how a transaction is published. Without the registry a
request that has a key is not accepted: the ledger alone finds only repeats with the same id.
"""

from server.idempotency.record import (
    Claim,
    Claimed,
    KeyConflict,
    KeyRecord,
    KeyStore,
    RegistryFailed,
)
from server.idempotency.registry import Registry, open_registry

__all__ = [
    "Claim",
    "Claimed",
    "KeyConflict",
    "KeyRecord",
    "KeyStore",
    "Registry",
    "RegistryFailed",
    "open_registry",
]
