"""One page a file; pages speak to the studio only through its REST API."""
