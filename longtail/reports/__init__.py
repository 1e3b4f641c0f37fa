"""What a person reads about a run, made from the run's ``results.json`` alone."""
