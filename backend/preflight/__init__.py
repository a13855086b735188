"""Before a run: the memory and the time that it will need, and what to change where it does not fit."""
