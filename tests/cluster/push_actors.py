#!/usr/bin/env python3
"""Images of tests/cluster/actor.c, pushed to a registry that speaks plain http: the program itself, and it in the ways in which an image can be wrong.
Usage: push_actors.py HOST:PORT PROGRAM"""
import gzip, hashlib, http.client, io, json, sys, tarfile

registry, program = sys.argv[1], open(sys.argv[2], "rb").read()
MANIFEST, CONFIG, LAYER, INDEX = (
    "application/vnd.oci.image.%s" % kind for kind in ("manifest.v1+json", "config.v1+json", "layer.v1.tar+gzip", "index.v1+json")
)


def send(method, path, body=b"", kind="application/octet-stream"):
    connection = http.client.HTTPConnection(registry, timeout=20)
    connection.request(method, path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    answer.read()
    if answer.status not in (200, 201, 202):
        sys.exit("push_actors: %s %s: %d" % (method, path, answer.status))
    return answer.headers.get("Location", "")


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def blob(name, body):
    location = send("POST", "/v2/%s/blobs/uploads/" % name).split("://", 1)[-1]
    path = location[location.index("/") :]
    send("PUT", path + ("&" if "?" in path else "?") + "digest=" + digest(body), body)
    return {"digest": digest(body), "size": len(body)}


def layer(mode, body):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for folder, folder_mode in (("bin", 0o755), ("state", 0o777), ("tmp", 0o777)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, folder_mode
            tar.addfile(info)
        for file in ("bin/actor", "bin/sleep"):
            info = tarfile.TarInfo(file)
            info.size, info.mode = len(body), mode
            tar.addfile(info, io.BytesIO(body))
    return raw.getvalue()


def image(name, user="65534:65534", entrypoint=("/bin/actor",), mode=0o755, architecture="amd64", is_index=False, body=program):
    raw = layer(mode, body)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "User": user, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(raw)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **blob(name, json.dumps(config).encode())},
        "layers": [{"mediaType": LAYER, **blob(name, gzip.compress(raw, mtime=0))}],
    }
    body = json.dumps(manifest).encode()
    if is_index:
        send("PUT", "/v2/%s/manifests/%s" % (name, digest(body)), body, MANIFEST)
        entry = {"mediaType": MANIFEST, "digest": digest(body), "size": len(body), "platform": {"os": "linux", "architecture": architecture}}
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    send("PUT", "/v2/%s/manifests/1" % name, body, INDEX if is_index else MANIFEST)
    print(name, digest(body))


image("actor")
image("root", user="")
image("named", user="nobody")
image("closed", mode=0o644)
image("empty", entrypoint=())
image("foreign", architecture="arm64", body=b"\177ELF\2\1\1" + bytes(57))
image("index", architecture="arm64", is_index=True)
