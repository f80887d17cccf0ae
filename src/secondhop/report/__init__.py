"""Answers as text and JSON; nothing here decides anything."""
