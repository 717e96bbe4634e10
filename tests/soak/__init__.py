"""The soak: every client tormented at random, for as long as one likes. See `python -m tests.soak --help`."""
