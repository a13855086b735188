"""What votes say: pure functions on arrays, which know numpy and neither tables nor requests."""
