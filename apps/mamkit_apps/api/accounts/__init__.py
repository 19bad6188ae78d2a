"""Accounts of people: registering, every way to log in, sessions, API keys, and what administrators do with them."""
