"""Updates of a device with two slots: when they are made, tried and found good. RAUC checks and writes."""
