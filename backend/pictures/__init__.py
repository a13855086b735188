"""Pictures from outside, to paint over or to let grow."""
