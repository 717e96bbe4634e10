"""Richamster: market data and own orders, plain JSON."""
