"""Measures Gatekeeper beside what it is to be compared with: the parts of `gatekeeper bench`."""
