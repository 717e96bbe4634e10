"""What does: threads, queues, waiting. Nothing here knows an exchange."""
