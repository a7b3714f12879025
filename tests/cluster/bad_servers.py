#!/usr/bin/env python3
"""What goes wrong around a cluster, for record_causes: a registry in front of another that refuses, limits, breaks, stutters or is slow by the first part of
the repository's name; an admission webhook that denies; and the same ports with TLS that nobody trusts.
Usage: bad_servers.py ADDRESS REGISTRY_PORT WEBHOOK_PORT UPSTREAM CERT KEY"""
import http.server, json, ssl, sys, threading, time, urllib.request

address, registry_port, webhook_port, upstream, cert, key = sys.argv[1:7]
asked = {}


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, code, what, headers=()):
        body = json.dumps({"errors": [{"code": what, "message": what.lower().replace("_", " ")}]}).encode()
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        parts = self.path.split("/")
        kind = parts[2] if len(parts) > 2 else ""
        if self.path.startswith("/token"):
            return self.say(401, "UNAUTHORIZED")
        if kind == "denied":
            realm = 'Bearer realm="http://%s:%s/token",service="test"' % (address, registry_port)
            return self.say(401, "UNAUTHORIZED", [("WWW-Authenticate", realm)])
        if kind == "basic":
            return self.say(401, "UNAUTHORIZED", [("WWW-Authenticate", 'Basic realm="test"')])
        if kind == "forbidden":
            return self.say(403, "DENIED")
        if kind == "limited":
            return self.say(429, "TOOMANYREQUESTS")
        if kind == "broken":
            return self.say(503, "UNAVAILABLE")
        if kind == "once":
            if time.time() - asked.setdefault("first", time.time()) < 2:
                return self.say(503, "UNAVAILABLE")
        if kind == "hang":
            time.sleep(300)
        path = "/v2/actor/" + "/".join(parts[4:]) if kind in ("once", "slow") else self.path
        request = urllib.request.Request("http://" + upstream + path, method=self.command)
        for name in ("Accept", "Range"):
            if self.headers.get(name):
                request.add_header(name, self.headers[name])
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read()
        self.send_response(answer.status)
        for name in ("Content-Type", "Docker-Content-Digest"):
            if answer.headers.get(name):
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", answer.headers.get("Content-Length") or str(len(body)))
        self.end_headers()
        for at in range(0, len(body), max(1, len(body) // 12)):
            if kind == "slow" and "/blobs/" in path and len(body) > 10000:
                time.sleep(1.2)
            self.wfile.write(body[at : at + max(1, len(body) // 12)])
            self.wfile.flush()

    do_HEAD = do_GET


class Webhook(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": {"code": 403, "message": "team label is missing: add metadata.labels.team"}}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


registry = http.server.ThreadingHTTPServer((address, int(registry_port)), Registry)
webhook = http.server.ThreadingHTTPServer((address, int(webhook_port)), Webhook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
webhook.socket = context.wrap_socket(webhook.socket, server_side=True, do_handshake_on_connect=False)  # else one that hangs holds up the rest
threading.Thread(target=webhook.serve_forever, daemon=True).start()
registry.serve_forever()
