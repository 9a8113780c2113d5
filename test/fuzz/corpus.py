"""Inputs of the fuzz targets: a file per target with one in hexadecimal a line,
and a directory of files for the fuzzer.

Usage: corpus.py unpack FILE DIRECTORY
       corpus.py pack DIRECTORY FILE
       corpus.py seeds TARGET DESCRIPTORS SEED DIRECTORY

Seeds are made by Google's library: messages with random fields, as DESCRIPTORS,
which protoc wrote, say.  Lines that begin with # are comments.
"""

import base64
import hashlib
import json
import os
import random
import struct
import sys

from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor

TEXTS = ["", "a", "lock", "\u20ac \U0001f600", 'quo"te\\', "x" * 40]
BYTES = [b"", b"\0", b"value", b"\xff\xfe", bytes(range(32))]


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


# ------------------------------------------------------------------- seeds

def random_scalar(field):
    if field.type == FieldDescriptor.TYPE_STRING:
        return random.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.choice(BYTES + [bloom()])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return random.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return random.choice(field.enum_type.values).number
    bits = 32 if "32" in str(field.type) or field.cpp_type in (
        FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 64
    signed = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return random.choice([0, 1, 5, 127, 128, 300, low, high])


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def fill(message, depth=0):
    for field in message.DESCRIPTOR.fields:
        if random.random() < 0.3 + 0.1 * depth:
            continue
        value = getattr(message, field.name)
        if is_map(field):
            kind = field.message_type.fields_by_name
            for _ in range(random.randint(0, 2)):
                key = random_scalar(kind["key"])
                if kind["value"].message_type is not None:
                    fill(value[key], depth + 1)
                else:
                    value[key] = random_scalar(kind["value"])
        elif field.label == FieldDescriptor.LABEL_REPEATED:
            for _ in range(random.randint(0, 3)):
                if field.message_type is not None:
                    fill(value.add(), depth + 1)
                else:
                    value.append(random_scalar(field))
        elif field.message_type is not None:
            value.SetInParent()
            fill(value, depth + 1)
        else:
            setattr(message, field.name, random_scalar(field))
    return message


def message_classes(path):
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        files.ParseFromString(file.read())
    classes = message_factory.GetMessages(files.file)
    return [classes[name] for name in sorted(classes)
            if not classes[name].DESCRIPTOR.GetOptions().map_entry]


def bloom():
    """A filter as clients send them."""
    bits = random.choice([0, 1, 7, 63, 64, 65, 300])
    words = [random.getrandbits(64) for _ in range((bits + 63) // 64)]
    b = struct.pack(f">{len(words) + 1}Q", bits, *words)
    return json.dumps({"m": max(bits, 1), "k": random.choice([0, 5, 1 << 63]),
                       "b": base64.urlsafe_b64encode(b).decode()},
                      separators=random.choice([(",", ":"), None])).encode()


def seeds(target, descriptors, seed, directory):
    random.seed(seed)
    if target == "bloom":
        for _ in range(50):
            store(directory, bloom())
        return
    for number, message_class in enumerate(message_classes(descriptors)):
        for _ in range(5):
            message = fill(message_class())
            if target == "codec":
                data = message.SerializeToString()
            else:
                data = json_format.MessageToJson(message, indent=None).encode()
            store(directory, bytes([number]) + data)


{"unpack": unpack, "pack": pack, "seeds": seeds}[sys.argv[1]](*sys.argv[2:])
