"""Score a handful of headlines with the embedded model: what `make demo` shows."""

import subprocess
import sys
import time

HEADLINES = (
    "Harbour Steel lifts its full-year outlook after record orders",
    "Quarterly profit at Northlight Foods rose to EUR 13.1 mn from EUR 8.7 mn",
    "Shares of Belltower slump 18% as the regulator opens an inquiry",
    "Ostra Shipping to cut 400 jobs and close its Gdansk yard",
    "The annual general meeting will be held in Helsinki on 12 April",
    "$KLMN did not miss estimates for once, revenue up 7%",
)


def main() -> int:
    """Show the command and its answer."""
    print('$ leanbert predict "…" (the embedded financial-sentiment model, int8, no torch)\n')
    sys.stdout.flush()
    start = time.perf_counter()
    code = subprocess.run(
        [sys.executable, "-m", "leanbert", "predict", "--table", *HEADLINES], check=False
    )
    print(f"\n{len(HEADLINES)} headlines, start-up included: {time.perf_counter() - start:.2f} s")
    print("your own:  .venv-demo/bin/leanbert predict --input headlines.txt")
    return code.returncode


if __name__ == "__main__":
    sys.exit(main())
