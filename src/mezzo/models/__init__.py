"""Models and the data they are shown with: `mezzo.models.digits`, `mezzo.models.gpt`.

Nothing is imported here: `import mezzo.models.gpt` loads that model alone.
"""
