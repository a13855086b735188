"""A comparison as one HTML file that asks nothing of any server."""
