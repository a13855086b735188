"""Rewards that runs can be trained on: the known ones, and the reward models that were tuned on people's votes."""
