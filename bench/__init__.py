"""Every figure of the documentation, measured: `python -m bench` runs all."""
