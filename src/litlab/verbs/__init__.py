"""What a user asks for, a function each: train, evaluate, describe, ..."""
