"""Makes a tiny Show-o from nothing: first its image tokenizer, then its transformer."""
