"""What every request passes on its way to a handler, and its answer on the way back."""
