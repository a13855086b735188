"""The dictionary: one definition of every shared type. Pydantic only; imports nothing of ours."""
