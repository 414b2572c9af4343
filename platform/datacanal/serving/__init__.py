"""What every HTTP server of Datacanal shares: limits and deadlines, strict JSON, problem responses, the runner."""
