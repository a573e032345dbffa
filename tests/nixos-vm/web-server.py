"""web-server.py PORT: answers GET / and nothing else. It needs little of Python's library, of which
some systems have only the smallest part."""

import socket
import sys

ANSWERS = {True: "200 OK", False: "404 Not Found"}

server = socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    connection, _ = server.accept()
    with connection:
        asked = connection.recv(4096).startswith(b"GET / ")
        connection.sendall(f"HTTP/1.0 {ANSWERS[asked]}\r\nContent-Length: 0\r\n\r\n".encode())
