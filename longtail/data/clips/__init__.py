"""Data modules for clips of videos."""
