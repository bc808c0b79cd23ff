"""The operator's tools: `gatekeeper …`, one command a module.

A command's module has `arguments(parser)`, which declares what it takes, and
`run(options, settings)`, which does it and returns the exit status.
"""
