"""What runs on one's own machine only: command line, embedded AWS, benchmarks."""
