"""The actions of ``leanbert bench``, one module per action."""
