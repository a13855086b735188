"""`python -m backend.cli`: the same as `unmask`."""

from backend.cli import main

main()
