"""What a frozen app needs of LeanBERT beside the modules that it imports: the native library.

PyInstaller sees late imports and those under ``TYPE_CHECKING``, so it finds the tasks' modules. It
would also follow what most apps do not need: huggingface_hub with its HTTP library, and pyarrow. An
app that imports one of these itself has it.
"""

from pathlib import Path

_ENGINE = Path("leanbert", "engines", "_native")

binaries = [
    (str(library), str(_ENGINE))
    for library in (Path(__file__).parents[2] / _ENGINE).glob("*leanbert_native*")
]
excludedimports = ["huggingface_hub", "pyarrow", "typing_extensions"]
