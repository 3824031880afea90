"""How the embedded model was made, from public data to the bundle: README.md beside this file."""
