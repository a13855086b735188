"""Figures of what was measured already, each with its interval, in numpy: the job and the web process compute alike.

It knows neither pictures nor policies, no file and no database.
"""
