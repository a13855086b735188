"""Evaluations: base and tuned on the same prompts and seeds, as figures and as pairs of pictures."""
