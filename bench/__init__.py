"""The benchmarks of `make bench`: ratios and shares, each measured in one run on one machine."""
