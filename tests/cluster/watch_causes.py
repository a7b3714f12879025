#!/usr/bin/env python3
"""Writes down when the API first shows what: a line for each change of a pod, an event, a ReplicaSet or a Deployment of the namespaces that begin with PREFIX, as
"seconds<TAB>namespace<TAB>words". Goes on until it is killed. Usage: watch_causes.py PROXY_HOST:PORT PREFIX FILE"""
import http.client, json, sys, threading, time

proxy, prefix, path = sys.argv[1:4]
out, lock = open(path, "a", buffering=1), threading.Lock()


def conditions(status, wanted):
    for condition in status.get("conditions") or []:
        if condition.get("status") == wanted and condition.get("message"):
            yield "%s %s" % (condition.get("reason"), condition["message"])


def containers(status):
    for one in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        for when, state in (("is", one.get("state") or {}), ("was", one.get("lastState") or {})):
            for kind, said in state.items():
                words = [str(said[k]) for k in ("reason", "exitCode", "message") if said.get(k) is not None]
                yield "container %s restarts=%d %s %s %s" % (one["name"], one.get("restartCount", 0), when, kind, " ".join(words))


def words(object):
    kind, status = object["kind"], object.get("status") or {}
    if kind == "Event":
        return "event %s %s" % (object.get("reason"), object.get("message"))
    parts = [kind, object["metadata"]["name"], status.get("phase", ""), status.get("reason", ""), status.get("message", "")]
    parts += conditions(status, "True" if kind == "ReplicaSet" else "False")
    return " | ".join(p for p in parts + list(containers(status)) if p)


def follow(collection):
    version = None
    while True:
        try:
            connection = http.client.HTTPConnection(proxy, timeout=300)
            if version is None:
                connection.request("GET", collection)
                version = json.load(connection.getresponse())["metadata"]["resourceVersion"]
            connection.request("GET", "%s?watch=1&allowWatchBookmarks=true&resourceVersion=%s" % (collection, version))
            for line in connection.getresponse():
                change = json.loads(line)
                if change["type"] == "ERROR":
                    version = None
                    break
                object = change["object"]
                version = object["metadata"]["resourceVersion"]
                space = object["metadata"].get("namespace", "")
                if change["type"] in ("ADDED", "MODIFIED") and space.startswith(prefix):
                    with lock:
                        out.write("%.3f\t%s\t%s\n" % (time.time(), space, " ".join(words(object).split())))
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            time.sleep(0.2)


for collection in ("/api/v1/pods", "/api/v1/events", "/apis/apps/v1/replicasets", "/apis/apps/v1/deployments"):
    threading.Thread(target=follow, args=(collection,), daemon=True).start()
while True:
    time.sleep(60)
