"""GenEval: prompts with metadata, an object detector and a CLIP for colours, and rules on what they find."""
