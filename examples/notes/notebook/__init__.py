"""A notebook for a small group: notes that link to each other, history, files, search, a JSON API."""
