"""One machine, no Docker: Postgres and Valkey from pip wheels, web and worker, one log, one Ctrl-C.

It starts, watches and stops processes; it knows nothing of runs, tables or routes.
"""
