"""What decides: no thread, no socket, no clock, no randomness; bytes and calls in, lists out."""
