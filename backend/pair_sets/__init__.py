"""Pair sets: preference pairs frozen from votes or imported, kept under the SHA-256 of their content."""
