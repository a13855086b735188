"""Runs: what was asked for, where it stands, who holds it, what it told."""
