"""What every Gatekeeper process stands on, and what its operators use."""
