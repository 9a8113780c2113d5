"""Inputs of the fuzz targets: a file per target with one in hexadecimal a line,
and a directory of files for the fuzzer.

Usage: corpus.py unpack FILE DIRECTORY
       corpus.py pack DIRECTORY FILE
       corpus.py seeds TARGET DESCRIPTORS SEED DIRECTORY

Seeds are made by Google's library: messages with random fields, as DESCRIPTORS,
which protoc wrote, say.  Lines that begin with # are comments.
"""

import hashlib
import os
import random
import sys

from google.protobuf import json_format

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../python"))
from random_messages import bloom, fill, message_classes  # noqa: E402


def store(directory, data):
    with open(os.path.join(directory, hashlib.sha1(data).hexdigest()), "wb") as file:
        file.write(data)


def unpack(path, directory):
    with open(path, encoding="ascii") as file:
        for line in file:
            if not line.startswith("#"):
                store(directory, bytes.fromhex(line))


def pack(directory, path):
    inputs = []
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as file:
            inputs.append(file.read())
    inputs.sort(key=lambda data: (len(data), data))
    with open(path, "w", encoding="ascii") as file:
        file.writelines(data.hex() + "\n" for data in inputs)


def document(message):
    try:
        return json_format.MessageToJson(message, indent=random.choice([None, 1])).encode()
    except (ArithmeticError, ValueError, TypeError, json_format.Error):
        return b"{}"                # a time out of range, or an Any of unknown type


def seeds(target, descriptors, seed, directory):
    random.seed(seed)
    if target == "bloom":
        for _ in range(50):
            store(directory, bloom())
        return
    for number, message_class in enumerate(message_classes(descriptors).values()):
        for _ in range(5):
            message = fill(message_class())
            store(directory, bytes([number]) + message.SerializeToString())
            if target == "json":
                store(directory, bytes([number]) + document(message))


{"unpack": unpack, "pack": pack, "seeds": seeds}[sys.argv[1]](*sys.argv[2:])
