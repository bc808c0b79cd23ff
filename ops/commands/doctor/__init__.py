"""`gatekeeper doctor`: checks everything that the fleet needs. It changes nothing without --try."""
