"""The policy: Show-o's exact structure, from a tiny one to the published 1.45 B, by configuration alone."""
