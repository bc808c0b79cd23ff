"""The plugins of supervisord and of supervisorctl (`scale` and `roll`), each named for its host.

supervisord.conf names both; the rest is private to them. The first runs inside supervisord, so it
must not block, nor import the server or the workers.
"""
