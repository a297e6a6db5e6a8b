"""A web server and who asks it, threads of one process, over TCP and over a socket with a name."""

import hashlib
import http.server
import os
import socket
import socketserver
import threading
import urllib.request


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode() * 1000
        self.send_response(200 if self.path != "/nothing" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(digest)))
        self.end_headers()
        self.wfile.write(digest)

    def log_message(self, *unused):
        pass


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    pass


for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    kind = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family})
    with kind((host, 0), Pages) as server:
        threading.Thread(target=server.serve_forever).start()
        at = f"http://{host if family == socket.AF_INET else f'[{host}]'}:{server.server_address[1]}"
        sizes = [len(urllib.request.urlopen(f"{at}/{'page' * n}").read()) for n in range(20)]
        print(host, sizes)
        print(urllib.request.urlopen(at, data=b"data" * 100000).read().decode())
        try:
            urllib.request.urlopen(f"{at}/nothing")
        except urllib.error.HTTPError as error:
            print("error", error.code, len(error.read()))
        server.shutdown()
    try:
        urllib.request.urlopen(at)
    except urllib.error.URLError as error:
        print("closed:", error.reason)

with Unix("/tmp/web-echo", Echo) as server:
    threading.Thread(target=server.serve_forever).start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("/tmp/web-echo")
        client.sendall(b"one\ntwo\n")
        client.shutdown(socket.SHUT_WR)
        print(client.makefile().read().split())
    server.shutdown()
os.unlink("/tmp/web-echo")

with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
    server.bind(("127.0.0.1", 0))
    for n in range(5):
        client.sendto(b"datagram %d" % n, server.getsockname())
    print([server.recvfrom(100)[0].decode() for n in range(5)])
