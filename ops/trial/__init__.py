"""The audit: a load, faults that strike meanwhile, and a verdict on what became of it."""
