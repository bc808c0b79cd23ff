"""The operator's tools: `gatekeeper COMMAND …`.

`__main__` lists the commands by the name of their module, and imports only the chosen one. Such a
module has a Typer `app`; it imports Google's libraries only in the functions that need them.
ops.trial and ops.bench register their commands in that list; nothing here imports them.
"""
