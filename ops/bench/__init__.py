"""Measures Gatekeeper and compares each figure with its target.

`app` is the door: the command `gatekeeper bench`, started by its name. Nothing else imports this
package. It starts disposable services from ops/rig and must never touch a project in the cloud.
"""
