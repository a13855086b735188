"""Learning a reward from votes: pairs, their split, the Bradley-Terry loss, and what the result is worth."""
