"""The GPU side: algorithm, policy, small world, rewards, jobs, and their wiring to the database."""
