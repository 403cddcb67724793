"""What stands outside a container: the local stack, and how the same runs elsewhere."""
