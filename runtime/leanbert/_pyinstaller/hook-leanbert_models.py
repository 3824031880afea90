"""The embedded model's files, whose hashes are those of the manifest."""

from importlib.util import find_spec
from pathlib import Path

_spec = find_spec("leanbert_models")
_home = Path(str(_spec.origin)).parent if _spec else Path()

datas = [
    (str(path), str(path.relative_to(_home.parent).parent))
    for path in _home.rglob("*")
    if path.is_file() and path.suffix not in {".py", ".pyc", ".typed"}
]
