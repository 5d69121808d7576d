"""One module a subject. Each has `run(world, checks)`, and nothing that another part needs."""
