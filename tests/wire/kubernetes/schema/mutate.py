#!/usr/bin/env python3
"""Objects nobody thought of: good ones, changed at random, judged by mlctl and by an API server.

    mutate.py MLCTL SERVER SEED COUNT [KIND...]     SERVER: "http://127.0.0.1:8001", what kubectl proxy gives

Each is posted as a strict dry run. Prints every object on which the two differ, but for what `known` gives a reason for, then how many there were.
Ends with 1 when more than one in 250 differs: a schema and some rules are not the server's whole code, and a cluster's defaults are not known here.
Needs PyYAML."""
import collections, copy, glob, http.client, json, os, random, subprocess, sys, tempfile
import yaml

mlctl, server, seed, count = sys.argv[1], sys.argv[2].removeprefix("http://"), int(sys.argv[3]), int(sys.argv[4])
here = os.path.dirname(os.path.abspath(__file__))
rnd = random.Random(seed)
paths = {
    "apis/apps/v1": {"Deployment": "deployments"},
    "apis/autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "apis/policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "apis/networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"},
    "apis/batch/v1": {"Job": "jobs", "CronJob": "cronjobs"},
    "apis/gateway.networking.k8s.io/v1": {"HTTPRoute": "httproutes"},
    "apis/monitoring.coreos.com/v1": {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"},
    "api/v1": {"Service": "services", "ConfigMap": "configmaps", "Secret": "secrets", "ServiceAccount": "serviceaccounts", "Pod": "pods",
               "PersistentVolumeClaim": "persistentvolumeclaims"},
}
known = [  # where we refuse and the server does not, and why that is meant
    ("is there twice", "a server-side apply, which mlctl uses, refuses it"),
    ("image: ", "the server refuses every pod of it"),
    ("has no source", "the server makes an emptyDir of it"),
    ("the container has no port named", "the pod would never become ready"),
    ("nodePort: ", "a dry run gives out no port"),
    ("terminationGracePeriodSeconds: ", "the server makes 1 of it"),
    (' " is no quantity', "the server leaves spaces at its end out"), ("metric.selector.", "the server hands it on unread"),
    ("is missing", "the published schema needs it, the server takes its zero value"),
    ("is empty", "the same"), ('"" ', "the same"), ("is nothing", "the same: null in a list"),
]
strange = [None, True, False, 0, 1, -1, 2, 65536, 3.5, 2**31, 2**63, "", "a", "A", "1", "true", "x y", "-a", "a-", "a.b", "a/b", "/", "/a", "..", "TCP",
           "Always", "100%", "25%", "150%", "512m", "1Gi", "1GB", "*", "*.a.b", "10.0.0.1", "10.0.0.0/8", "x" * 64, "x" * 254, "ä", "a_b", "5m", "0", [], {},
           ["a"], {"a": "b"}, {"a": 1}, [{}], ["a", "a"], [None]]
words = ["name", "type", "port", "selector", "replicas", "spec", "labels", "value", "host", "path", "enabled", "kind"]

def url_of(object):
    group = "api/" if "/" not in object["apiVersion"] else "apis/"
    plural = paths.get(group + object["apiVersion"], {}).get(object["kind"])
    return plural and f"/{group}{object['apiVersion']}/namespaces/default/{plural}?dryRun=All&fieldValidation=Strict"

def places(node, path=()):
    yield path
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(child, path + (key,))

def at(node, path):
    for key in path: node = node[key]
    return node

def mutated(good):
    object = copy.deepcopy(good)
    for _ in range(rnd.choice([1, 1, 1, 2])):
        choices = [p for p in places(object) if p and p[0] not in ("apiVersion", "kind") and p != ("metadata",) and p[:2] != ("metadata", "namespace")]
        if not choices: break
        path = rnd.choice(choices)
        parent, key, how = at(object, path[:-1]), path[-1], rnd.random()
        value = parent[key]
        if how < .25: del parent[key]
        elif how < .7: parent[key] = copy.deepcopy(rnd.choice(strange))
        elif how < .8 and isinstance(parent, dict) and path[:-1]: parent[rnd.choice(words)] = copy.deepcopy(rnd.choice(strange))
        elif how < .85: parent[key] = copy.deepcopy(at(object, rnd.choice(list(places(object)))))
        elif isinstance(value, bool): parent[key] = str(value)
        elif isinstance(value, int): parent[key] = rnd.choice([-value, value * 1000, str(value), value + 0.5])
        elif isinstance(value, str): parent[key] = rnd.choice([value.upper(), value + " ", value + "x", value.lower(), value[::-1]])
        elif isinstance(value, list) and value: value.append(copy.deepcopy(value[0]))
        elif isinstance(value, dict): value[rnd.choice(words)] = copy.deepcopy(rnd.choice(strange))
    object.get("metadata", {}).pop("namespace", None)
    return object

good = [d for f in sorted(glob.glob(here + "/good/*.yaml")) for d in yaml.safe_load_all(open(f)) if url_of(d) and d["kind"] in (sys.argv[5:] or [d["kind"]])]
objects = [o for o in (mutated(rnd.choice(good)) for _ in range(count)) if isinstance(o.get("metadata"), dict)]
with tempfile.TemporaryDirectory() as folder:
    said = collections.defaultdict(list)
    for start in range(0, len(objects), 500):
        files = []
        for i, o in enumerate(objects[start:start + 500], start):
            files.append(f"{folder}/{i}.yaml")
            json.dump(o, open(files[-1], "w"), ensure_ascii=False)
        # One file alone would be taken for mlctl.yaml when nothing in it looks like an object.
        answer = subprocess.run([mlctl, "validate", "--json", "--kubernetes-version", "1.33", *files, files[0]], capture_output=True, text=True)
        for problem in json.loads(answer.stdout)["problems"]:
            if not problem["is_warning"]: said[int(problem["at"].split("/")[-1].split(".")[0])].append(problem["message"])
connection = http.client.HTTPConnection(server)
tally, reasons = collections.Counter(), collections.Counter()
for i, o in enumerate(objects):
    connection.request("POST", url_of(o), json.dumps(o, ensure_ascii=False).encode(), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    body = json.loads(reply.read())
    if reply.status == 409: continue
    ours, theirs = not said[i], reply.status in (200, 201)
    tally[ours, theirs] += 1
    why = [w for w in known if theirs and not ours and all(any(k[0] in m for k in known) for m in said[i]) and any(w[0] in m for m in said[i])]
    if why: reasons[why[0][1]] += 1
    elif ours != theirs:
        tally["differ"] += 1
        print(f"{o['kind']}: {'the server takes it; ours: ' + said[i][0] if theirs else 'ours takes it; the server: ' + body.get('message', '')[:300]}")
        if len(json.dumps(o)) < 600: print("  " + json.dumps(o))
print(f"{len(objects)} objects: both took {tally[True, True]}, both refused {tally[False, False]}, {sum(reasons.values())} were refused here alone for a known reason, {tally['differ']} differ")
for reason, n in reasons.items(): print(f"  {n}: {reason}")
sys.exit(tally["differ"] * 250 > len(objects) or tally[True, True] * 20 < len(objects))
