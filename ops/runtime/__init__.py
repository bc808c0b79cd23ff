"""What every process uses: settings, logs, metrics, retries, clients.

It must not import any other package of this repository but `schema`. Its modules are its door: a
process imports only those that it needs, since some bring Google's libraries.
"""
