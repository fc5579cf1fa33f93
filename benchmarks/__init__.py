"""What astrodlkit promises about speed and memory, measured."""
