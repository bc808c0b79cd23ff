"""The local Pushgateway: the real one if it is installed, else our own with the same push API.

Ours stores groups of pushed metrics in memory and in a file. It must not know any metric.
"""
