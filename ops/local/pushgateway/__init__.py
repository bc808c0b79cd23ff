"""The local Pushgateway: the real one where it is installed, else a stand-in with the same API."""
