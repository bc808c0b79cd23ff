"""The live console: a page, and the state of the whole fleet that it shows.

Every server shows the same: it asks the Pushgateway, supervisord, Pub/Sub and the ledger. It must
not know of a server's own requests, nor hold them up.
"""

from server.console.app import CONSOLE, ROUTES, Console

__all__ = ["CONSOLE", "ROUTES", "Console"]
