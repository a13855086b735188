"""The experiments behind docs/results.md: `python -m tests.results` runs them, or goes on where it was stopped."""
