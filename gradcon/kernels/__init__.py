"""What the speed of training on a CPU and on a GPU stands on."""
