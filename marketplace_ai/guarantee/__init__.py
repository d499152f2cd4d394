"""The guarantee on automatic decisions: how it is proven, and how it is monitored."""
