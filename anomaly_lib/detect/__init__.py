"""Photos to decisions: which photos, how the model looks at them, and what is written of each."""
