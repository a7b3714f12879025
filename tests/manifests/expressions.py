#!/usr/bin/env python3
"""The expressions of manifests/dashboard.json, one a line as TITLE<TAB>EXPRESSION, with Grafana's variables put in as a service's Prometheus would see
them; with --check, what is wrong with the dashboard itself: ids that repeat, panels on top of each other, an expression that misses its service."""
import json
import sys

with open(sys.argv[-1], encoding="utf-8") as file:
    dashboard = json.load(file)
panels = dashboard["panels"]
queries = [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]
queries += [("annotation " + one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
variables = {one["name"]: one for one in dashboard["templating"]["list"]}
# label_values(SELECTOR, LABEL)
queries += [("variable " + name, one["query"]["query"].removeprefix("label_values(").rsplit(",", 1)[0]) for name, one in variables.items() if one["type"] == "query"]

if "--check" in sys.argv:
    ids = [panel["id"] for panel in panels]
    for i in set(ids):
        if ids.count(i) != 1:
            print(f"panel id {i} repeats")
    cells = {}
    for panel in panels:
        at = panel["gridPos"]
        if at["x"] + at["w"] > 24:
            print(f"{panel['title']}: wider than the page")
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if (x, y) in cells:
                    print(f"{panel['title']} lies on {cells[x, y]}")
                cells[x, y] = panel["title"]
        refs = [target["refId"] for target in panel.get("targets", [])]
        if len(refs) != len(set(refs)):
            print(f"{panel['title']}: a refId repeats")
        for holder in [panel] * bool(refs) + panel.get("targets", []):
            if holder["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
                print(f"{panel['title']}: another data source")
    for title, query in queries:
        if not title.startswith("variable") and 'namespace=~"$namespace",mlctl_service=~"$service"' not in query:
            print(f"{title}: not of the service that was chosen")
    sys.exit()

for title, query in queries:
    query = query.replace("$__rate_interval", "1m").replace("$namespace", ".*").replace("$service", "fraud")
    if "$" in query or "\n" in query:
        sys.exit(f"{title}: what is {query}?")
    print(title, query, sep="\t")
