"""What everything stands on: files, imports, logs, tensors, text."""
