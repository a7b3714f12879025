#!/usr/bin/env python3
"""Writes down what the API shows of one namespace over time, every half second, for record_causes: a fixture of tests/wire/kubernetes/causes. A moment holds
the objects that differ from the moment before, and under "gone" those that are no more. Usage: record_moments.py API_PROXY NAMESPACE SECONDS OUT EXPECT_JSON"""
import http.client, json, sys, time

proxy, space, seconds, out, expect = sys.argv[1:6]
connection = http.client.HTTPConnection(proxy, timeout=10)


def text(path):
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    return body.decode("utf-8", "replace") if answer.status == 200 else None


def items(path):
    body = text(path)
    return json.loads(body)["items"] if body else []


DULL = ("managedFields", "resourceVersion", "selfLink", "generateName", "terminationMessagePath", "terminationMessagePolicy", "dnsPolicy", "enableServiceLinks", "protocol",
    "preemptionPolicy", "lastHeartbeatTime", "lastProbeTime", "lastUpdateTime", "hostIPs", "podIPs", "qosClass", "source", "volumeMounts", "allocatedResources", "imageID", "hostIP", "blockOwnerDeletion", "controller",
    "serviceAccount", "containerID", "apiVersion")


def drop(value):
    if isinstance(value, dict):
        for name in DULL:
            value.pop(name, None)
        for inner in value.values():
            drop(inner)
    elif isinstance(value, list):
        for inner in value:
            drop(inner)


def plain(object):
    drop(object)
    meta = object.get("metadata", {})
    (meta.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    spec = object.get("spec", {})
    if "tolerations" in spec:
        spec["tolerations"] = [t for t in spec["tolerations"] if t.get("tolerationSeconds") != 300]
    spec["volumes"] = [v for v in spec.get("volumes", []) if not v["name"].startswith("kube-api-access")]
    spec.pop("volumes") if not spec["volumes"] else None
    return object


def without_template(object):
    plain(object)["spec"].pop("template", None)
    return object


def event(e):
    meta = {k: e["metadata"][k] for k in ("name", "namespace", "creationTimestamp")}
    kept = {k: e[k] for k in ("involvedObject", "reason", "message", "type", "count", "firstTimestamp", "lastTimestamp", "eventTime", "series") if e.get(k)}
    drop(kept)
    return {"metadata": meta, **kept}


def node(n):
    n = plain(n)
    meta = {k: n["metadata"][k] for k in ("name", "labels", "creationTimestamp") if k in n["metadata"]}
    status = {k: n["status"][k] for k in ("allocatable", "conditions") if k in n["status"]}
    return {"metadata": meta, "spec": {k: v for k, v in n["spec"].items() if k in ("taints", "unschedulable")}, "status": status}


def log(pods):
    for pod in pods:
        status = pod.get("status", {})
        for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
            state, last = container["state"], container.get("lastState") or {}
            if not state.get("terminated") and not last.get("terminated"):
                continue
            previous = "&previous=true" if state.get("running") else ""
            name = pod["metadata"]["name"]
            body = text(f"/api/v1/namespaces/{space}/pods/{name}/log?container={container['name']}&tailLines=50{previous}")
            if body:
                return body
    return None


def look():
    base = f"/api/v1/namespaces/{space}/"
    apps = f"/apis/apps/v1/namespaces/{space}/"
    pods = [plain(p) for p in items(base + "pods")]
    seen = {
        "pods": pods,
        "events": [event(e) for e in items(base + "events")],
        "nodes": [node(n) for n in items("/api/v1/nodes")],
        "replica_sets": [without_template(r) for r in items(apps + "replicasets")],
        "deployments": [without_template(d) for d in items(apps + "deployments")],
        "secrets_known": sorted(s["metadata"]["name"] for s in items(base + "secrets")),
        "config_maps_known": sorted(c["metadata"]["name"] for c in items(base + "configmaps")),
    }
    said = log(pods)
    if said:
        seen["log"] = said
    return seen


def difference(before, seen):
    """What to write of a moment: None when nothing is different."""
    moment, gone = {}, []
    for kind, now in seen.items():
        if not now or not isinstance(now, list) or isinstance(now[0], str):
            if before.get(kind) != now:
                moment[kind] = now
            continue
        old = {o["metadata"]["name"]: o for o in before.get(kind, [])}
        changed = [o for o in now if old.get(o["metadata"]["name"]) != o]
        if changed:
            moment[kind] = changed
    for kind in ("pods", "events", "nodes", "replica_sets", "deployments"):
        left = {o["metadata"]["name"] for o in seen[kind]}
        gone += [kind + "/" + o["metadata"]["name"] for o in before.get(kind, []) if o["metadata"]["name"] not in left]
        if not seen[kind]:
            moment.pop(kind, None)
    if gone:
        moment["gone"] = gone
    return moment


start, before, moments = time.time(), {}, []
while True:
    now = time.time()
    seen = look()
    moment = difference(before, seen)
    if moment or now - start >= float(seconds):
        moments.append({"now": round(now, 2), **moment})
        before = json.loads(json.dumps(seen))
    if now - start >= float(seconds):
        break
    time.sleep(max(0, 0.5 - (time.time() - now)))
with open(out, "w") as file:
    file.write('{"source": "cluster",\n"expect": ' + expect.strip() + ',\n"moments": [\n')
    file.write(",\n".join(json.dumps(m, separators=(",", ":")) for m in moments) + "\n]}\n")
