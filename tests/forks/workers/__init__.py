"""What Celery and gunicorn import in tests/forks/test_workers.py."""
