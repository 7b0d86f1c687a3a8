"""The rendered site and the slides: executed notebooks and Markdown as pages that need neither kernel nor network."""
