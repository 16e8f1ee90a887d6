"""Files, imports, logs, tensors and text: what every other module uses."""
