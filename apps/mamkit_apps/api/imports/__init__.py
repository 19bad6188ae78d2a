"""Media that is brought in from URLs, watched folders and watched buckets."""
