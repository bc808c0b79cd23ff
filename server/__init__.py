"""The gateway process: takes transactions over HTTP, validates them, publishes them to Pub/Sub.

`app` puts it together, `lifecycle` runs it. It imports nothing of `workers`.
"""
