"""The API: accounts, assets, uploads, previews. It signs and records; the bytes go between client, edge and store."""
