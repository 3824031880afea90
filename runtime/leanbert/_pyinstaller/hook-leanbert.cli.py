"""The command's modules, which it imports by their names; those of the export stay outside."""

from importlib import import_module

hiddenimports = [
    module
    for module, _ in import_module("leanbert.cli")._COMMANDS.values()
    if module.startswith("leanbert.")
]
