"""What a configuration would have told of data that came before: the daemon's stages over files, and what they say."""
