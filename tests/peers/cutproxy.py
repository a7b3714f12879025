#!/usr/bin/env python3
"""A registry's front door that misbehaves exactly as told, for the peers tests and the bench.

It speaks HTTP/1.1 to clients, hands each request on to the registry behind it, and writes one JSON line per request
to its log: what came, how many body bytes arrived, what was answered, whether it was cut. So a test can assert how much
was sent again, or that nothing was. An "upload" is a POST, PUT or PATCH whose body has at least --upload-min bytes;
uploads are counted from 1 in the order in which they arrive.

  --cut 2@8388608     resets (RST) upload 2 after 8 MiB, towards both sides; may be given several times
  --stall 1@4194304   holds upload 1 after 4 MiB, logs it, and goes on at SIGUSR1
  --answer PUT:3=503  answers the third PUT itself, with Retry-After: 1 (429 and 5xx); the registry never sees it
  --lose manifests:1  hands the first PUT below /manifests/ (or /blobs/) on, and resets instead of passing the answer back
  --basic USER:PASS   asks for a password
  --bearer USER:PASS  asks for a token, given out at /token for the password
  --token-uses 5      a token is good for so many requests, then it has expired
  --tls CERT KEY      speaks TLS to clients

Prints its port on stdout when it listens on 127.0.0.1. Threads, no dependency outside Python's library.
"""
import argparse
import base64
import json
import os
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time

HEAD_MAX = 64 << 10
CHUNK = 256 << 10


class Cut(Exception):
    """This connection ends here, with a reset."""


class Reader:
    """A socket and the bytes already read from it."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def head(self):
        """The request's or answer's head with its blank line, or b'' at the end of the stream."""
        while b"\r\n\r\n" not in self.rest:
            if len(self.rest) > HEAD_MAX:
                raise Cut
            more = self.sock.recv(CHUNK)
            if not more:
                return b""
            self.rest += more
            if self.rest[0] == 0x16:
                raise Cut  # a TLS greeting: whoever tries that first should not have to wait to learn that it is plain here
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        return head + b"\r\n\r\n"

    def some(self, most):
        if self.rest:
            out, self.rest = self.rest[:most], self.rest[most:]
            return out
        return self.sock.recv(min(most, CHUNK))

    def line(self):
        while b"\r\n" not in self.rest:
            more = self.sock.recv(CHUNK)
            if not more:
                raise Cut
            self.rest += more
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line


def headers_of(head):
    out = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        if ":" in line:
            name, value = line.split(":", 1)
            out[name.strip().lower()] = value.strip()
    return out


def body_pieces(reader, headers):
    """Yields (bytes to hand on, how many of them are body)."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while True:
            line = reader.line()
            size = int(line.split(b";")[0], 16)
            yield line + b"\r\n", 0
            left = size
            while left:
                piece = reader.some(left)
                if not piece:
                    raise Cut
                left -= len(piece)
                yield piece, len(piece)
            while True:
                end = reader.line()
                yield end + b"\r\n", 0
                if not end:
                    break
            if size == 0:
                return
    left = int(headers.get("content-length", 0) or 0)
    while left:
        piece = reader.some(left)
        if not piece:
            raise Cut
        left -= len(piece)
        yield piece, len(piece)


def reset(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The descriptor itself has to go: shutting TLS down first would end the connection in good order.
        os.close(sock.detach())
    except OSError:
        pass


class Door:
    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.log_file = open(options.log, "a", encoding="utf-8") if options.log else None
        self.connections = self.requests = self.uploads = self.tokens_given = 0
        self.methods = {}
        self.tokens = {}
        self.go_on = threading.Event()
        self.cuts = dict(map(int, one.split("@")) for one in options.cut)
        self.stalls = dict(map(int, one.split("@")) for one in options.stall)
        self.lost = set(options.lose)
        self.puts = {"manifests": 0, "blobs": 0}
        self.answers = {}
        for one in options.answer:
            method, number, code = re.fullmatch(r"([A-Z]+):(\d+)=(\d+)", one).groups()
            self.answers[method, int(number)] = int(code)

    def log(self, **what):
        if self.log_file:
            with self.lock:
                self.log_file.write(json.dumps(what) + "\n")
                self.log_file.flush()

    def refusal(self, method, path, headers, host):
        """None, or the answer (status, extra header lines, body) to a request whose credentials will not do."""
        given = headers.get("authorization", "")
        secret = self.options.basic or self.options.bearer
        if not secret:
            return None
        knows = given.lower().startswith("basic ") and base64.b64decode(given[6:]).decode("utf-8", "replace") == secret
        if self.options.basic:
            return None if knows else ("401 Unauthorized", 'WWW-Authenticate: Basic realm="door"\r\n', b"{}")
        scheme = "https" if self.options.tls else "http"
        if path.startswith("/token"):
            if not knows:
                return "401 Unauthorized", 'WWW-Authenticate: Basic realm="door"\r\n', b"{}"
            with self.lock:
                self.tokens_given += 1
                token = f"token-{self.tokens_given}-{os.getpid()}"
                self.tokens[token] = self.options.token_uses
            return "200 OK", "Content-Type: application/json\r\n", json.dumps({"token": token, "expires_in": 300}).encode()
        error = ""
        if given.lower().startswith("bearer "):
            with self.lock:
                uses = self.tokens.get(given[7:], 0)
                if uses > 0:
                    self.tokens[given[7:]] = uses - 1
                    return None
            error = ',error="invalid_token"'
        name = re.match(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/", path)
        scope = f',scope="repository:{name.group(1)}:pull,push"' if name else ""
        return ("401 Unauthorized", f'WWW-Authenticate: Bearer realm="{scheme}://{host}/token",service="door"{scope}{error}\r\n', b"{}")

    def serve(self, client):
        with self.lock:
            self.connections += 1
            number = self.connections
        client.settimeout(self.options.idle)
        server = None
        try:
            if self.options.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            reader = Reader(client)
            while True:
                head = reader.head()
                if not head:
                    break
                server = self.one(number, client, reader, head, server)
                if server is None:
                    break
        except Cut:
            reset(client)
            if server is not None:
                reset(server.sock)
            return
        except (OSError, ValueError):
            pass
        try:
            client.close()
        except OSError:
            pass
        if server is not None:
            server.sock.close()

    @staticmethod
    def say(client, method, status, extra, body, close):
        client.sendall(f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\n".encode()
                       + (b"Connection: close\r\n" if close else b"") + b"\r\n"
                       + (b"" if method == "HEAD" else body))

    def one(self, number, client, reader, head, server):
        """One request and its answer. Returns the connection to the registry, or None when this one is to be closed."""
        began = time.monotonic()
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        headers = headers_of(head)
        expected = "100-continue" in headers.get("expect", "").lower()
        length = int(headers.get("content-length", 0) or 0)
        chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        with self.lock:
            self.requests += 1
            self.methods[method] = self.methods.get(method, 0) + 1
            scripted = self.answers.get((method, self.methods[method]))
        entry = {"conn": number, "method": method, "path": path, "body": 0, "ms": 0}

        def note(**more):
            entry["ms"] = round(1000 * (time.monotonic() - began))
            entry.update(more)
            self.log(**entry)

        refused = self.refusal(method, path, headers, headers.get("host", ""))
        if refused is None and scripted:
            refused = f"{scripted} Scripted", "Retry-After: 1\r\n", b"{}"
        if refused is not None:
            # A client that waits to be asked for its body is told at once; the others have to be read to the end.
            close = expected
            if not expected:
                for _, count in body_pieces(reader, headers):
                    entry["body"] += count
            note(status=int(refused[0][:3]), own=True)
            self.say(client, method, *refused, close)
            return server if server is not None and not close else (None if close else self.behind())

        upload = 0
        if method in ("POST", "PUT", "PATCH") and (chunked or length >= self.options.upload_min) and "/blobs/uploads" in path:
            with self.lock:
                self.uploads += 1
                upload = self.uploads
            entry["upload"] = upload
        if server is None:
            server = self.behind()
        if expected:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        lines = [line for line in head.decode("latin-1").split("\r\n")[:-2]
                 if not re.match(r"(?i)(expect|authorization|x-forwarded-proto)\s*:", line)]
        lines.append("X-Forwarded-Proto: " + ("https" if self.options.tls else "http"))
        try:
            server.sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
            cut, stall = self.cuts.get(upload), self.stalls.get(upload)
            for piece, count in body_pieces(reader, headers):
                if cut is not None and entry["body"] + count >= cut:
                    entry["body"] += count
                    note(cut=True)
                    raise Cut
                if stall is not None and entry["body"] + count >= stall:
                    self.log(stalled=upload, body=entry["body"])
                    # The client's death ends the wait too: a test kills it here.
                    while not self.go_on.wait(0.05):
                        if is_gone(client):
                            note(gone=True)
                            raise Cut
                    stall = None
                entry["body"] += count
                server.sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            # Either end went away in the middle; what the other should see is the same.
            note(cut=True)
            reset(server.sock)
            raise Cut from None
        except Cut:
            if not entry.keys() & {"cut", "gone"}:
                note(gone=True)
            reset(server.sock)
            raise
        answer = server.head()
        while answer.startswith(b"HTTP/1.1 100"):
            answer = server.head()
        if not answer:
            note(cut=True)
            raise Cut
        status = int(answer.split(b" ", 2)[1])
        back = headers_of(answer)
        kind = "manifests" if "/manifests/" in path else "blobs"
        if method == "PUT":
            with self.lock:
                self.puts[kind] += 1
                is_lost = f"{kind}:{self.puts[kind]}" in self.lost
            if is_lost:
                note(status=status, lost=True)
                raise Cut
        note(status=status)
        client.sendall(answer)
        if method != "HEAD" and status not in (204, 304):
            if "content-length" in back or "chunked" in back.get("transfer-encoding", "").lower():
                for piece, _ in body_pieces(server, back):
                    client.sendall(piece)
            else:
                while True:
                    piece = server.some(CHUNK)
                    if not piece:
                        server.sock.close()
                        return None
                    client.sendall(piece)
        if "close" in back.get("connection", "").lower() or "close" in headers.get("connection", "").lower():
            server.sock.close()
            return None
        return server

    def behind(self):
        host, port = self.options.to.rsplit(":", 1)
        try:
            sock = socket.create_connection((host, int(port)), timeout=self.options.idle)
        except OSError:
            raise Cut from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Reader(sock)


def is_gone(client):
    """Whether the client's end of the connection is closed. Bytes still unread do not hide it, as a peek would."""
    state = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    established = 1
    return state != established


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, help="HOST:PORT of the registry behind")
    parser.add_argument("--log", help="file for the JSON lines")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cut", action="append", default=[])
    parser.add_argument("--stall", action="append", default=[])
    parser.add_argument("--answer", action="append", default=[])
    parser.add_argument("--lose", action="append", default=[])
    parser.add_argument("--basic")
    parser.add_argument("--bearer")
    parser.add_argument("--token-uses", type=int, default=1 << 30)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--upload-min", type=int, default=1 << 20)
    parser.add_argument("--idle", type=float, default=60)
    door = Door(parser.parse_args())
    signal.signal(signal.SIGUSR1, lambda *_: door.go_on.set())
    if door.options.tls:
        door.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        door.tls.load_cert_chain(*door.options.tls)
    listener = socket.create_server(("127.0.0.1", door.options.port), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=door.serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
