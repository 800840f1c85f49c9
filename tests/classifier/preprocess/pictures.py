"""What the tests of preprocessing share: made-up pictures, and how properties are asked."""

import cv2
import numpy as np
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray


def examples(count: int) -> settings:
    """Return hypothesis settings in which no time counts."""
    slow = [HealthCheck.too_slow]
    return settings(max_examples=count, deadline=None, suppress_health_check=slow)


def natural(height: int = 120, width: int = 150, seed: int = 0) -> NDArray[np.uint8]:
    """Return shaded shapes with edges and fine texture, uint8 (height, width)."""
    chance = np.random.default_rng(seed)
    picture = np.zeros((height, width), np.float32)
    for sigma, strength in ((1, 14), (2, 12), (5, 25), (17, 60)):
        noise = chance.standard_normal((height, width)).astype(np.float32)
        layer = cv2.GaussianBlur(noise, (0, 0), sigma)
        picture += strength * layer / (layer.std() + 1e-6)
    for _ in range(8):
        centre = (int(chance.integers(width)), int(chance.integers(height)))
        axes = (int(chance.integers(3, 30)), int(chance.integers(3, 30)))
        shape = np.zeros_like(picture)
        cv2.ellipse(shape, centre, axes, float(chance.integers(180)), 0, 360, 70.0, -1)
        picture += shape
    return np.clip(picture + 60, 0, 255).astype(np.uint8)
