"""Close-ups of radiographs with exact labels, cut around landmarks that a person has set."""
