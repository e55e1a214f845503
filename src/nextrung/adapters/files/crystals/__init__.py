"""Reference crystals: densities of experiments and elastic constants."""
