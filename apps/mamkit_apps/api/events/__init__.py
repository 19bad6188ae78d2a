"""What happens in workspaces, told to those who may know: streams, webhooks, notifications and mails."""
