"""`gatekeeper provision`: creates and updates what the fleet needs in Pub/Sub and BigQuery.

`subscriptions` and `dataset` also define what is needed, for the doctor. It never deletes anything.
"""
