"""The tables; see README.md beside this file."""
