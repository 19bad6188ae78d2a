"""Who sends a request and from where, by a login, an API key or a share link, and what they may."""
