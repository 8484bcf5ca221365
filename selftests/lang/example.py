# SPDX-License-Identifier: GPL-2.0
"""mq from Python.

example.py produce TOPIC KEY NAME=VALUE TEXT    one message with a key and a header
example.py follow TOPIC                         what is written from now on
example.py replay TOPIC                         the last minute
example.py ship TOPIC HOST PORT                 all of it, as it comes, over TCP
"""
import os
import socket
import struct
import sys

KEY, HEADER, HEADER_NAME, HEADER_VALUE = 1, 2, 1, 2     # these and the formats: mq/mq.h
ANY_PARTITION = 0xffffffff


def topic(name, mode="rb"):
    return open("/dev/mq/" + name, mode, buffering=0)


def attr(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def produce(name, key, header, text):
    header_name, _, value = header.encode().partition(b"=")
    attrs = attr(KEY, key.encode()) + attr(
        HEADER, attr(HEADER_NAME, header_name) + attr(HEADER_VALUE, value))
    payload = text.encode() + b"\n"
    batch = struct.pack("=6I16x3Q", 64, 16, 1, ANY_PARTITION, 0, 0, 16, len(attrs), len(payload))
    record = struct.pack("=4I", len(payload), len(attrs), 0, 0)
    with topic(name + "+format=record", "wb") as file:
        file.write(batch + record + attrs + bytes(-len(attrs) % 8) + payload)


def copy(name):
    with topic(name) as file:
        while message := file.read(1 << 20):    # the default limit: a read gets a whole one
            os.write(1, message)


def ship(name, host, port):     # socket.sendfile() would end where the topic ends now
    with topic(name) as file, socket.create_connection((host, port)) as to:
        while os.sendfile(to.fileno(), file.fileno(), None, 1 << 20):
            pass


match sys.argv[1:]:
    case ["produce", name, key, header, text]:
        produce(name, key, header, text)
    case ["follow", name]:
        copy(name + "+from=newest")
    case ["replay", name]:
        copy(name + "+since=1m+until=end")
    case ["ship", name, host, port]:
        ship(name, host, port)
    case _:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
