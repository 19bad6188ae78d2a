"""Events on their way to those who may know: read once for all who listen, sent to webhooks, and mailed about."""
