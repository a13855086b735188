"""The hot parts of the pages: HTML that a small client module fills from REST and server-sent events."""
