"""What a preview becomes, decided from the facts of its source alone: no file is opened here, and no FFmpeg loaded."""
