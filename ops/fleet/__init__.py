"""The fleet under supervisord: its plugins, its processes' entry, and what brings it up and down.

The plugins are imported into supervisord and supervisorctl themselves, so they use nothing but the
standard library and supervisor.
"""
