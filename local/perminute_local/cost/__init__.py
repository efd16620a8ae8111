"""What a stage costs while nothing happens, and what a million calls cost: `make cost`."""
