"""Kyrrex: the account stream (Socket.IO 5 over Engine.IO 4)."""
