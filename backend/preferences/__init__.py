"""Preferences: label tasks, the pairs they show blind, the people who choose, and their votes."""
