"""History: which publications topics keep, and what sessions get of them later."""
