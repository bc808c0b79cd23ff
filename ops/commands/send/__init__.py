"""`gatekeeper send`: a client of the HTTP API. It never imports the server."""
