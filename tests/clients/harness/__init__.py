"""What all parts use: checks, processes, certificates, and Portvakt with what stands around it."""
