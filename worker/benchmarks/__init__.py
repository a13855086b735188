"""Benchmarks: figures of pictures that are made already, each with its interval. They know no policy and no server."""
