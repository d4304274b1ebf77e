"""Time and memory: inference, training, commands, exported models, shards and processes."""
