"""What a run can be made of and by: models, recipes, workers, the version."""
