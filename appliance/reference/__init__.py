"""The reference of the vocabulary (docs/events.md), written from the classes that are the vocabulary."""
