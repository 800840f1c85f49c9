"""Image files of every kind → grey levels, by one path."""
