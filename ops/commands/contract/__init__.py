"""`gatekeeper contract`: compares, plans, applies, infers and documents contracts of tables."""
