"""Hypothesis without deadlines: a slow or busy machine is no fault of the fold."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
