"""`mamkit demo`: the whole life of an asset over real HTTP, by a client that believes nothing it has not checked."""
