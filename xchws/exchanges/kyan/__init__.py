"""Kyan: options and perpetuals, market data and own account, JSON; sessions that can be recovered."""
