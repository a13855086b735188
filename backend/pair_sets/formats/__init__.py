"""Preference pairs as other programs read and write them: a file a format, each with its reader and its writer."""
