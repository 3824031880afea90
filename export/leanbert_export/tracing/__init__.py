"""The way for architectures without a description: trace PyTorch, then fuse by pattern."""
