"""Policies that want to choose at a point: judged, approved, taking over, taken back."""
