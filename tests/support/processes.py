"""The processes of the rig, as tests name them."""

from ops.fleet.config import ROOT
from ops.rig import Service, eventually, free_port, wait_until

__all__ = ["ROOT", "Service", "eventually", "free_port", "wait_until"]
