"""The small world: pictures of flat shapes, their captions, and a verifier after GenEval. Knows no model."""
