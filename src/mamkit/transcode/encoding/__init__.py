"""The parts of pictures and of sound: from a source to finished segments, in threads of this process."""
