"""Indodax: the private stream (Centrifugo 5, protocol v2)."""
