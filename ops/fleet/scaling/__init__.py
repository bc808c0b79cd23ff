"""The plugins in supervisord (`rpcinterface`) and supervisorctl (`ctl`): `scale` and `roll`.

supervisord.conf names both; everything else here is private to them. They run inside supervisord:
they must not block it, nor import the server or the workers.
"""
