"""Trained runs, used."""
