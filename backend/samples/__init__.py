"""Groups and samples: pictures, rewards, trajectories."""
