"""Results for people: tables, sentences and plots."""
