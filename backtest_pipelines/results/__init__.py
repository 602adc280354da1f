"""What an answer is, its bytes, and where they are kept: files, with Redis in front of them."""
