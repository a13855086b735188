"""The shipped recipes, and what reads them."""
