"""One end of a call: RTP as G.711 speakers send it (RFC 3550, RFC 3551), a packet every 10 ms.

`voice.py call SERVER PORT SSRC` starts one, `voice.py answer SERVER PORT SSRC` is the server and talks
back to whoever calls. What arrives, and when, is read from a capture: the kernel's clock knows better than a process.
In Python, because under emulation the same loop in Node takes a third of a processor, here a
twentieth.
"""

import os
import socket
import struct
import sys
import time

PACKETS_PER_SECOND = 100
SAMPLES_PER_PACKET = 80
# A sender that was held up catches up at most so far; the rest is never sent.
PACKETS_AT_ONCE_MAX = 20

role, address, port, ssrc = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("" if role == "call" else address, port))
peer = (address, port) if role == "call" else line.recvfrom(2048)[1]
line.connect(peer)

voice = os.urandom(SAMPLES_PER_PACKET)
started = time.monotonic()
sent = 0
while True:
    due = int((time.monotonic() - started) * PACKETS_PER_SECOND)
    sent = max(sent, due - PACKETS_AT_ONCE_MAX)
    while sent < due:
        header = struct.pack(">BBHII", 0x80, 0, sent & 0xFFFF, sent * SAMPLES_PER_PACKET, ssrc)
        try:
            line.send(header + voice)
        except OSError:
            pass  # Refused or no buffer: this packet is lost, as on a real line.
        sent += 1
    time.sleep(1 / PACKETS_PER_SECOND)
