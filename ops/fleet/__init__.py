"""The fleet under supervisord: its plugins, the entry point of its processes, `ops/up`, `ops/down`.

Other packages use `config`, `config_copy` and `ports`. Nothing here imports the server or workers.
This file imports nothing, since every process of the fleet and supervisord itself import it.
"""
