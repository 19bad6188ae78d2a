"""The worker: takes jobs, builds previews, reports to the API. Run as many as there are cores to spare."""
