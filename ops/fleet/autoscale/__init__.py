"""The autoscaler: `python -m ops.fleet.autoscale`, an event listener of supervisord.

It reads the backlog on every tick and scales the workers through supervisord. It must not import
the server or the workers. It has no door but its command line.
"""
