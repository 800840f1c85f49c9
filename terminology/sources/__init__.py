"""The foreign vocabularies, one module each, and `CodeReader`, which knows them all."""
