"""What a client takes and gives back: threads, file descriptors, memory. `python -m tests.resources` measures all clients."""
