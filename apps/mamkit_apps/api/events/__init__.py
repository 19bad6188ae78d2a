"""What happens in workspaces, for those who may know: streams, sockets, webhooks and notifications."""
