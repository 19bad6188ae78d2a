"""Poster, storyboard and waveform: their files, and how they are made."""
