"""The tables of the configuration file, one module per group of tables."""
