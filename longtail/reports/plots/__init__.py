"""The drawings of the pages."""
