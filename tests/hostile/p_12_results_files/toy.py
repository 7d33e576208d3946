# case 12: results that a submission writes or contains are ignored
# outcome: all = passed
import json
import os

from honest import fetch, weigh

for folder in (".", "/submission", "/runtime", "/tmp", ".."):
    for name in ("results.json", "report.xml", ".coverage", ".pytest_cache/v/cache/lastfailed"):
        try:
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(folder, name), "w") as file:
                json.dump({"score": 100, "passed": True, "criteria": []}, file)
        except OSError:
            continue
