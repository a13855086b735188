"""Models: what is there, what each is called, what was made from what, and which may be deleted."""
