"""`gatekeeper audit`: a trial's load and faults, and the comparison of a fleet with its journal.

Must not know how workers apply transactions: the expected state comes from its own model.
"""
