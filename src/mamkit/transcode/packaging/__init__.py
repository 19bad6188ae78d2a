"""What players read: fragments of MP4, HLS playlists, the DASH manifest."""
