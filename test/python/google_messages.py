"""The protocol's messages in Google's implementation of protobuf, as an
independent judge of the server's.

    google_messages.py cases SEED COUNT     random messages of every type
    google_messages.py compare              what the server made of them
    google_messages.py show                 messages with the numbers of enums
    google_messages.py schema               messages, fields, enums and rpcs

"cases" writes a line for each case, of fields separated by tabs: kind, type, bytes,
what Google makes of them, and a document, all but the first two in hexadecimal.
The kinds are "plain" (bytes and document mean the same), "accept" (a document in
one of the other spellings that readers must understand), and "hostile" (a
document that may mean nothing; what Google makes of it is "-" if it refuses).

"compare" reads lines of two byte strings of one type and says which differ in
meaning.  Messages are compared as messages, not as bytes, because the order of
a map's entries is free.

"show" reads lines of a type and bytes, and writes JSON in which nothing is left
out.  "schema" writes what the .proto files declare.
"""

import glob
import json
import os
import random
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2
from google.protobuf import json_format, message_factory, timestamp_pb2

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'proto')

# An Any has a form of its own in JSON, which takes the type of what it holds.
# The server writes its two fields as they are, so here it is a message like
# any other.
ANY = 'google.protobuf.Any'
PLAIN_ANY = 'test.PlainAny'

# KeepAliveInput as later versions of the protocol have it.
LATER = 'test.LaterKeepAliveInput'
KEEP_ALIVE = 'atomix.multiraft.v1.KeepAliveInput'


def read_files():
    """Descriptors of the .proto files, those they import first."""
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, 'set')
        files = [os.path.relpath(name, PROTO) for name in
                 glob.glob(os.path.join(PROTO, '**', '*.proto'), recursive=True)]
        subprocess.run(['protoc', '-I', PROTO, '--include_imports',
                        '--descriptor_set_out', out] + sorted(files), check=True)
        with open(out, 'rb') as handle:
            return descriptor_pb2.FileDescriptorSet.FromString(handle.read()).file


def messages_of(file):
    """Messages of a file, nested ones too, with their full names."""
    def walk(prefix, messages):
        for message in messages:
            name = prefix + '.' + message.name
            yield name, message
            yield from walk(name, message.nested_type)
    yield from walk(file.package, file.message_type)


def extra_file():
    file = descriptor_pb2.FileDescriptorProto(name='test/extra.proto', package='test',
                                              syntax='proto3')
    field = descriptor_pb2.FieldDescriptorProto
    for name, fields in ((PLAIN_ANY, (('type_url', field.TYPE_STRING), ('value', field.TYPE_BYTES))),
                         (LATER, (('session_id', field.TYPE_UINT64),
                                  ('input_filter', field.TYPE_BYTES),
                                  ('last_input_sequence_num', field.TYPE_UINT64)))):
        message = file.message_type.add(name=name.rpartition('.')[2])
        for number, (label, kind) in enumerate(fields, 1):
            message.field.add(name=label, number=number, type=kind, label=field.LABEL_OPTIONAL)
    return file


class Schema:
    def __init__(self):
        self.files = read_files()
        self.pool = descriptor_pool.DescriptorPool()
        self.pool.Add(extra_file())
        for module in (duration_pb2, timestamp_pb2):
            self.pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        self.names = [ANY, 'google.protobuf.Duration', 'google.protobuf.Timestamp']
        for file in self.files:
            if file.package == 'google.protobuf':
                continue
            copy = descriptor_pb2.FileDescriptorProto()
            copy.CopyFrom(file)
            for name, message in messages_of(copy):
                if not message.options.map_entry:
                    self.names.append(name)
                for field in message.field:
                    if field.type_name == '.' + ANY:
                        field.type_name = '.' + PLAIN_ANY
            imports = ['test/extra.proto' if name == 'google/protobuf/any.proto' else name
                       for name in copy.dependency]
            copy.dependency[:] = imports
            self.pool.Add(copy)
        self.names.sort()
        self.factory = message_factory.MessageFactory(self.pool)

    def new(self, name):
        name = PLAIN_ANY if name == ANY else name
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))()


#
# Random messages
#

def random_unsigned(rng, bits):
    return rng.choice((0, 1, 127, 128, 300, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 2 ** 53 + 1,
                       2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1, rng.getrandbits(64),
                       rng.getrandbits(20))) % 2 ** bits


def random_signed(rng, bits):
    value = random_unsigned(rng, bits)
    return value - 2 ** bits if value >= 2 ** (bits - 1) else value


def random_text(rng):
    alphabet = 'aZ09 _-"\\/\n\t\x01\x7f\u00e9\u4e2d\u2028\ufeff\U0001f600'
    return ''.join(rng.choice(alphabet) for _ in range(rng.choice((0, 1, 3, 30))))


def random_bytes(rng):
    return bytes(rng.getrandbits(8) for _ in range(rng.choice((0, 1, 2, 3, 4, 100))))


def random_scalar(rng, field):
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        return random_bytes(rng) if field.type == field.TYPE_BYTES else random_text(rng)
    if kind == field.CPPTYPE_BOOL:
        return rng.random() < 0.7
    if kind == field.CPPTYPE_ENUM:
        return rng.choice([value.number for value in field.enum_type.values] + [77, -5])
    bits = 64 if kind in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else 32
    if kind in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        return random_unsigned(rng, bits)
    return random_signed(rng, bits)


def fill_time(rng, message):
    is_duration = message.DESCRIPTOR.name == 'Duration'
    limits = (-315576000000, 315576000000) if is_duration else (-62135596800, 253402300799)
    nanos = rng.choice((0, 1, 500000000, 120000000, 999999999, 1000, rng.randrange(10 ** 9)))
    message.seconds = rng.choice((0, 1, -1, 59, 86400, limits[0], limits[1], rng.randint(*limits)))
    if is_duration and abs(message.seconds) == limits[1]:
        nanos = 0
    if is_duration and (message.seconds < 0 or (message.seconds == 0 and rng.random() < 0.5)):
        nanos = -nanos
    message.nanos = nanos


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def fill(rng, message, density):
    if message.DESCRIPTOR.full_name in ('google.protobuf.Duration', 'google.protobuf.Timestamp'):
        fill_time(rng, message)
        return message
    chosen = {oneof.name: rng.choice(list(oneof.fields) + [None])
              for oneof in message.DESCRIPTOR.oneofs}
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None:
            if chosen[field.containing_oneof.name] is not field:
                continue
        elif rng.random() > density:
            continue
        target = getattr(message, field.name)
        count = rng.choice((0, 1, 2, 7)) if field.label == field.LABEL_REPEATED else 1
        if is_map(field):
            key, value = (field.message_type.fields_by_name[n] for n in ('key', 'value'))
            for _ in range(count):
                target[random_scalar(rng, key)] = random_scalar(rng, value)
        elif field.label == field.LABEL_REPEATED:
            for _ in range(count):
                if field.message_type is not None:
                    fill(rng, target.add(), density)
                else:
                    target.append(random_scalar(rng, field))
        elif field.message_type is not None:
            target.SetInParent()
            fill(rng, target, density)
        else:
            setattr(message, field.name, random_scalar(rng, field))
    return message


def random_message(rng, schema, name):
    return fill(rng, schema.new(name), rng.choice((0.2, 0.7, 1)))


#
# Unknown fields
#

def varint(value):
    out = b''
    while value > 127:
        out += bytes((value & 127 | 128,))
        value >>= 7
    return out + bytes((value,))


def unknown_field(rng):
    number = rng.choice((20, 536870911, rng.randrange(100, 19000)))
    kind = rng.choice((0, 1, 2, 5))
    data = random_bytes(rng)
    value = {0: varint(rng.getrandbits(64)), 1: bytes(8), 2: varint(len(data)) + data,
             5: b'abcd'}[kind]
    return varint(number << 3 | kind) + value


#
# Documents
#

def to_json(message, **options):
    return json_format.MessageToJson(message, indent=None, ensure_ascii=False, **options)


def respell(rng, schema, name, document):
    """The same document in another spelling that readers must understand: bytes
    in the alphabet of URLs or without padding, numbers for strings, nulls."""
    def walk(descriptor, value):
        if not isinstance(value, dict):
            return value
        out = {}
        for key, item in value.items():
            field = descriptor.fields_by_camelcase_name[key]
            if field.type == field.TYPE_BYTES:
                if rng.random() < 0.5:
                    item = item.replace('+', '-').replace('/', '_')
                if rng.random() < 0.5:
                    item = item.rstrip('=')
            elif field.message_type is not None and not is_map(field):
                item = ([walk(field.message_type, one) for one in item]
                        if isinstance(item, list) else walk(field.message_type, item))
            elif field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) and \
                    field.label != field.LABEL_REPEATED and rng.random() < 0.5:
                item = int(item)
            out[key] = item
        # A null is as good as nothing.
        for field in descriptor.fields:
            if field.camelcase_name not in out and field.containing_oneof is None and \
                    rng.random() < 0.3:
                out[field.camelcase_name] = None
        return out
    if name in ('google.protobuf.Duration', 'google.protobuf.Timestamp'):
        return document
    return json.dumps(walk(schema.new(name).DESCRIPTOR, json.loads(document)), ensure_ascii=False)


JUNK = (None, True, False, 0, 1, -1, 7, 1.5, 3e0, 1e20, 1e300, 2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64,
        -2 ** 31 - 1, -2 ** 63 - 1, '', 'x', '0', '1', '-1', '1.5', '01', '+1', ' 1', '0x10',
        '1_000', 'null', 'true', '====', 'AA', 'AAA', 'A', 'A-_/', 'OK', 'ok', 'OPENED', '1s', '1.5s',
        '-1s', '1', '.5s', '1.s', '1.1234567890s', '315576000001s', 's', '1S', '1s ',
        '2026-01-31T09:30:00Z', '2026-02-30T09:30:00Z', '2026-01-31T09:30:00', '2026-01-31 09:30:00Z',
        '2026-01-31T24:00:00Z', '2026-01-31T09:30:60Z', '0000-01-31T09:30:00Z', '2026-01-31T09:30:00+01:00',
        '9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59-01:00', '2026-1-31T09:30:00Z',
        [], {}, [[]], [{}], [None], {'x': 1}, {'': None}, {'key': {'key': 1}}, [1, 'x'], {'1': '2'}, {'x': 'y'},
        '\u0661', '\U0001f600')


def mutate(rng, document):
    """Put junk somewhere into a document."""
    places = []

    def walk(value, put):
        places.append(put)
        if isinstance(value, dict):
            for key in value:
                walk(value[key], lambda junk, v=value, k=key: v.__setitem__(k, junk))
            places.append(lambda junk, v=value: v.__setitem__(rng.choice(
                ('x', '', 'sessionId', 'value', '1', '-1', 'headers', 'SessionId')), junk))
        if isinstance(value, list):
            for i, item in enumerate(value):
                walk(item, lambda junk, v=value, n=i: v.__setitem__(n, junk))
            places.append(lambda junk, v=value: v.append(junk))
    box = [json.loads(document)]
    walk(box[0], lambda junk: box.__setitem__(0, junk))
    rng.choice(places)(rng.choice(JUNK))
    return json.dumps(box[0], ensure_ascii=False)


def read_json(schema, name, document):
    """What Google's reader makes of a document; None if it refuses."""
    try:
        return json_format.Parse(document, schema.new(name))
    except (json_format.ParseError, ValueError, TypeError, AttributeError, OverflowError, KeyError):
        return None


#
# Commands
#

def put(kind, name, data, meaning, document):
    print(kind, name, data.hex(), '-' if meaning is None else meaning.SerializeToString().hex(),
          document.encode().hex(), sep='\t')


def later_layout(rng, schema):
    """Bytes of KeepAliveInput in the later layout, and what they mean in ours."""
    later = fill(rng, schema.new(LATER), 0.8)
    ours = schema.new(KEEP_ALIVE)
    ours.session_id = later.session_id
    ours.last_command_sequence_num = later.last_input_sequence_num
    ours.pending_commands_filter = later.input_filter
    return later.SerializeToString(), ours


def cases(schema, seed, count):
    rng = random.Random(seed)
    for name in schema.names:
        nothing = schema.new(name)
        put('plain', name, b'', nothing, to_json(nothing))
        for _ in range(count):
            message = random_message(rng, schema, name)
            data = message.SerializeToString()
            document = to_json(message)
            junk = [unknown_field(rng) for _ in range(3)]
            put('plain', name, data, message, document)
            put('plain', name, junk[0] + data + junk[1] + junk[2], message, document)
            put('accept', name, data, message, to_json(message, preserving_proto_field_name=True,
                                                       use_integers_for_enums=True))
            put('accept', name, data, message, respell(rng, schema, name, document))
            for _ in range(4):
                hostile = mutate(rng, document)
                put('hostile', name, b'', read_json(schema, name, hostile), hostile)
    for _ in range(10 * count):
        data, ours = later_layout(rng, schema)
        put('plain', KEEP_ALIVE, data, ours, to_json(ours))
        for name, field in (('KeepAliveRequest', 'input'), ('PartitionInput', 'keep_alive')):
            outer = schema.new('atomix.multiraft.v1.' + name)
            getattr(outer, field).CopyFrom(ours)
            # Field 2, with a length, in both.
            put('plain', outer.DESCRIPTOR.full_name, b'\x12' + varint(len(data)) + data,
                outer, to_json(outer))


def compare(schema):
    for line in sys.stdin:
        label, name, one, other = line.rstrip('\n').split('\t')
        messages = []
        for data in (one, other):
            messages.append(schema.new(name))
            messages[-1].ParseFromString(bytes.fromhex(data))
        messages[0].DiscardUnknownFields()
        if messages[0] != messages[1]:
            print(label, name, to_json(messages[0]), to_json(messages[1]), sep='\t')


def show(schema):
    for line in sys.stdin:
        name, data = line.rstrip('\n').split('\t')
        message = schema.new(name)
        message.ParseFromString(bytes.fromhex(data))
        print(to_json(message, use_integers_for_enums=True, including_default_value_fields=True))


def show_schema(schema):
    for file in schema.files:
        if file.package == 'google.protobuf':
            continue
        for name, message in messages_of(file):
            if message.options.map_entry:
                continue
            print('message', file.name, name, sep='\t')
            for field in message.field:
                print('field', file.name, name, field.name, sep='\t')
            for enum in message.enum_type:
                for value in enum.value:
                    print('value', file.name, name + '.' + enum.name, value.name, value.number, sep='\t')
        for enum in file.enum_type:
            for value in enum.value:
                print('value', file.name, file.package + '.' + enum.name, value.name, value.number,
                      sep='\t')
        for service in file.service:
            for method in service.method:
                print('rpc', file.name, '/%s.%s/%s' % (file.package, service.name, method.name),
                      method.input_type[1:], method.output_type[1:],
                      'stream' if method.server_streaming else 'single', sep='\t')


def main(arguments):
    schema = Schema()
    if arguments[0] == 'cases':
        cases(schema, int(arguments[1]), int(arguments[2]))
    elif arguments[0] == 'compare':
        compare(schema)
    elif arguments[0] == 'show':
        show(schema)
    else:
        show_schema(schema)


if __name__ == '__main__':
    main(sys.argv[1:])
