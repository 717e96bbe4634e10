"""Indodax: the private stream (Centrifugo 5, protocol v2) and the market data (Centrifugo 2.8, protocol v1)."""
