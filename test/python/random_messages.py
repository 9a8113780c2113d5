"""Random messages of the protocol, by Google's library."""

import base64
import json
import random
import struct

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import FieldDescriptor

TEXTS = ["", "a", "lock", "\u20ac \U0001f600", 'quo"te\\', "x" * 40]
BYTES = [b"", b"\0", b"value", b"\xff\xfe", bytes(range(32))]


def read_descriptors(path):
    """The files of what protoc --descriptor_set_out wrote."""
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        files.ParseFromString(file.read())
    return files.file


def method_requests(path):
    """The message that each method takes, by the method's path."""
    return {f"/{file.package}.{service.name}/{method.name}": method.input_type[1:]
            for file in read_descriptors(path) for service in file.service
            for method in service.method}


def message_classes(path):
    """The class of each message but entries of maps, by full name and in the
    order of names; path has what protoc --descriptor_set_out wrote."""
    classes = message_factory.GetMessages(read_descriptors(path))
    return {name: classes[name] for name in sorted(classes)
            if not classes[name].DESCRIPTOR.GetOptions().map_entry}


def bloom():
    """A filter as clients send them."""
    bits = random.choice([0, 1, 7, 63, 64, 65, 300])
    words = [random.getrandbits(64) for _ in range((bits + 63) // 64)]
    b = struct.pack(f">{len(words) + 1}Q", bits, *words)
    return json.dumps({"m": max(bits, 1), "k": random.choice([0, 5, 1 << 63]),
                       "b": base64.urlsafe_b64encode(b).decode()},
                      separators=random.choice([(",", ":"), None])).encode()


def random_value(field):
    """Any value of a field that is not a message."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return random.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.choice(BYTES + [bloom()])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return random.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return random.choice(field.enum_type.values).number
    if field.name in ("seconds", "nanos") and random.random() < 0.8:
        return random.choice([0, 1, 30, 500000000])
    signed = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
    bits = 32 if field.cpp_type in (
        FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 64
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return random.choice([0, 1, 5, 127, 128, 300, low, high])


def fill(message, choose=random_value, depth=0):
    """Set fields of a message, fewer the deeper it is; choose(field) gives the
    values."""
    for field in message.DESCRIPTOR.fields:
        if random.random() < 0.3 + 0.1 * depth:
            continue
        value = getattr(message, field.name)
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            kind = inner.fields_by_name
            for _ in range(random.randint(0, 2)):
                key = choose(kind["key"])
                if kind["value"].message_type is not None:
                    fill(value[key], choose, depth + 1)
                else:
                    value[key] = choose(kind["value"])
        elif field.label == FieldDescriptor.LABEL_REPEATED:
            for _ in range(random.randint(0, 3)):
                if inner is not None:
                    fill(value.add(), choose, depth + 1)
                else:
                    value.append(choose(field))
        elif inner is not None:
            value.SetInParent()
            fill(value, choose, depth + 1)
        else:
            setattr(message, field.name, choose(field))
    return message
