"""Training: configuration, presets, augmentation, the loop, resume, tuning."""
