"""Sends SYNs to port 25 at a steady rate from made-up addresses of 10.0.0.0/8, for the live benchmark of
spamlogd. Bounded: DESTINATION RATE SECONDS. Prints how many were sent. Needs a namespace of its own."""
import socket
import struct
import sys
import time

destination, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
total = min(rate * seconds, 2_000_000)
link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
target = socket.inet_aton(destination)
# IPv4 header (the kernel fills in the checksum), then a TCP header whose checksum nobody looks at.
head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, socket.IPPROTO_TCP, 0)
tcp = struct.pack("!HHIIBBHHH", 40000, 25, 1, 0, 0x50, 2, 8192, 0, 0)
started = time.monotonic()
sent = 0
while sent < total:
    due = min(total, int((time.monotonic() - started) * rate))
    while sent < due:
        number = (sent * 7919) & 0xFFFFFF
        source = struct.pack("!BBBB", 10, number >> 16, (number >> 8) & 255, number & 255)
        link.sendto(head + source + target + tcp, (destination, 0))
        sent += 1
    time.sleep(0.001)
print(sent)
