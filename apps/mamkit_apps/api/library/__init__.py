"""What is kept: workspaces, assets and their comments, uploads, previews and how they are played."""
