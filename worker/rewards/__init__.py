"""The rewards: one file each, and their weighted sum. They see pictures and prompts, no policy and no training."""
