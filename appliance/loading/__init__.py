"""How a configuration comes out of its files: merged, checked value by value, then as a whole."""
