"""By which of a handler's parameters it is known who may call it."""

__all__ = ["LOGIN", "VISITOR"]

LOGIN = frozenset({"principal", "owner"})
"""Of a handler that needs a login."""

VISITOR = frozenset({"visitor"})
"""Of a handler that needs a share link."""
