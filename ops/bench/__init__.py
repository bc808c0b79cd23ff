"""The parts of `gatekeeper bench`: measures Gatekeeper and compares each figure with its target.

`runner` is the door. It starts disposable services from ops/rig only, and never touches a project
in the cloud. Nothing else imports this package, except the command that starts it.
"""
