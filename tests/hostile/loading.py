"""Run as a program: load each directory named, and write down what became of it.

A process of its own, because what it loads is hostile. Its audit hook writes down what no
refusal may need: programs started, addresses looked up, classes unpickled, files opened in a
folder that no directory owns. ``loading.py GOOD OUTSIDE DIRECTORY...`` writes JSON lines:
``[directory, refusal or "", traces]``.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

TRACES = ("os.system", "os.exec", "subprocess.Popen", "socket.connect", "socket.getaddrinfo")
#: A guard against what hangs; nothing here takes that long.
PATIENCE = 40


def main(good: str, outside: str, *directories: str) -> None:
    from marketplace_ai.encoding import EncoderError, load_encoder

    # What imports do by themselves is done before anything is watched.
    load_encoder(good, cache_dir=Path("unused")).encode(["male stue"])
    traces: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        what = arguments[0] if arguments else ""
        if event in TRACES or (event == "pickle.find_class" and arguments[:1] == ("posix",)):
            traces.append(f"{event} {arguments}")
        elif event == "open" and isinstance(what, str) and what.startswith(outside):
            traces.append(f"{event} {what}")

    def too_long(*arguments: Any) -> None:
        raise KeyboardInterrupt("it waits for ever")  # nothing takes it for an error of a file

    sys.addaudithook(hook)
    signal.signal(signal.SIGALRM, too_long)
    for directory in directories:
        traces.clear()
        signal.alarm(PATIENCE)
        try:
            load_encoder(directory, cache_dir=Path("unused"))
            refusal = ""
        except EncoderError as error:
            refusal = str(error)
        except BaseException as error:  # noqa: BLE001 (told to the test, which fails)
            refusal = f"NOT AN EncoderError: {type(error).__name__}: {error}"[:500]
        signal.alarm(0)
        print(json.dumps([directory, refusal, traces]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
