"""Mask-GRPO, the algorithm: torch and schemas only."""
