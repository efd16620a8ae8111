"""What the functions run over: the in-memory twins, or the deployed adapters over moto."""
