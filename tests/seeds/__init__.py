"""What the five systems can do that wampush takes over the jobs of, a file for each."""
