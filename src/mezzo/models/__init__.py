"""Models and the data they are shown with: `mezzo.models.digits`, `mezzo.models.gpt`,
`mezzo.models.sam2`.

Nothing is imported here: `import mezzo.models.gpt` loads that model alone.
"""
