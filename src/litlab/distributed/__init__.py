"""Several devices: ranks, processes, launch, GPU claims."""
