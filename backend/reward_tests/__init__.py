"""Reward tests: a picture and a prompt against every reward, on the interactive worker. Kept as files, not as rows."""
