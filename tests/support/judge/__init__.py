"""The judge: GoogleSQL analyzes the run's SQL texts, and evaluates statements on rows in tests.

It must not know the product's way of reading a value: `source_values` and `cells` have their own.
"""
