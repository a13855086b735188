"""Prompt sets: named lists of prompts, each state of which is a version that never changes."""
