"""Decoding in processes of their own, for what may end the process that decodes it."""
