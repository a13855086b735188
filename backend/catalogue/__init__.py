"""What a run can be made by: recipes, workers, the version."""
