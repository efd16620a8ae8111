"""Who holds which license since when, and what that entitles to."""
