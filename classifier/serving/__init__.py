"""A trained model as one file, and what answers from it without torch."""
