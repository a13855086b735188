"""Run bundles: one file that tells everything of a run, proves that it is whole, and can be performed again."""
