"""Pull, decode, fold, commit a lane's batch as one BigQuery transaction, acknowledge.

A worker imports the message's definition (`schema`) and nothing of the server that publishes it.
It relies on no other worker, lock file or clock: docs/semantics.md says why the result is right.
"""
