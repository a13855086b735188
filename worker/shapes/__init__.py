"""The small world: pictures of flat shapes, their captions, and a verifier that mirrors GenEval. Knows no model."""
