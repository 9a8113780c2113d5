"""Random commands of several sessions over several connections, some of which
lose their replies; every answer and the final state are compared with a model.

Usage: random_commands.py PROTO_DIR SOCKET USER SEED COMMANDS SECONDS

PROTO_DIR has what protoc makes for Python.  On "restart" in the output the
server is to be restarted, and a line of input says that it was.

A number is tried until it is answered, so the model needs no luck: commands on
the key of a map are one at a time, and those on a counter are put in order by
the index of their answers afterwards.
"""

import base64
import json
import math
import random
import select
import struct
import sys
import time

proto_dir, socket_path, user, seed, target, seconds = sys.argv[1:]
sys.path.insert(0, proto_dir)

from atomix.multiraft.counter.v1 import counter_pb2  # noqa: E402
from atomix.multiraft.map.v1 import map_pb2  # noqa: E402
from atomix.multiraft.v1 import fsm_pb2, headers_pb2  # noqa: E402
from connection import Connection, Failed, Lost  # noqa: E402

Status = headers_pb2.PartitionResponseHeaders.Status
MASK = (1 << 64) - 1
INT64_MAX = (1 << 63) - 1
CONNECTIONS = 6
SESSIONS = 4


# ---------------------------------------------------------------- filters

def rotate(value, bits):
    return (value << bits | value >> (64 - bits)) & MASK


def mix(h):
    h = (h ^ h >> 33) * 0xff51afd7ed558ccd & MASK
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53 & MASK
    return h ^ h >> 33


def murmur3(key):
    """MurmurHash3, x64, 128 bits, seed 0, of a key shorter than a block."""
    c1, c2 = 0x87c37b91114253d5, 0x4cf5ad432745937f
    k1, k2 = struct.unpack("<QQ", key.ljust(16, b"\0"))
    h1 = rotate(k1 * c1 & MASK, 31) * c2 & MASK ^ len(key)
    h2 = rotate(k2 * c2 & MASK, 33) * c1 & MASK ^ len(key)
    h1 = (h1 + h2) & MASK
    h2 = (h2 + h1) & MASK
    h1, h2 = mix(h1), mix(h2)
    h1 = (h1 + h2) & MASK
    return h1, (h2 + h1) & MASK


class Filter:
    """The filter that a client makes of its open numbers."""

    def __init__(self, numbers):
        n = len(numbers)
        self.m = max(1, math.ceil(-n * math.log(0.05) / math.log(2) ** 2))
        self.k = 5 if n else 1 << 63
        self.bits = 0
        for number in numbers:
            for location in self.locations(number):
                self.bits |= 1 << location
        self.length = self.m if n else 0

    def locations(self, number):
        key = struct.pack(">Q", number)
        h = murmur3(key) + murmur3(key + b"\1")
        for i in range(min(self.k, 64)):
            step = h[2 + (i + i % 2) % 4 // 2]
            yield (h[i % 2] + i * step & MASK) % self.m

    def contains(self, number):
        return all(self.bits >> bit & 1 for bit in self.locations(number))

    def document(self):
        words = [self.bits >> 64 * i & MASK for i in range((self.length + 63) // 64)]
        b = struct.pack(f">{len(words) + 1}Q", self.length, *words)
        return json.dumps({"m": self.m, "k": self.k,
                           "b": base64.urlsafe_b64encode(b).decode()},
                          separators=(",", ":")).encode()


# ------------------------------------------------------------ failures

def connect():
    return Connection(socket_path, user)


def fail(why):
    print(f"failed: {why}", flush=True)
    sys.exit(1)


def expect(got, expected, what):
    if got != expected:
        fail(f"{what}: got {got!r}, expected {expected!r}")


# ----------------------------------------------------------------- models

class Counter:
    """Its commands are put in order by their indexes at the end."""

    def __init__(self, name):
        self.type, self.name = "counter", name
        self.answered = []

    def choose(self):
        message = counter_pb2.CounterInput()
        kind = random.choice(["set", "compare_and_set", "get", "increment", "increment",
                              "decrement"])
        number = random.choice([0, 1, 2, -3, 7, 1000, INT64_MAX, -INT64_MAX - 1])
        getattr(message, kind).SetInParent()
        if kind == "set":
            message.set.value = number
        elif kind == "compare_and_set":
            message.compare_and_set.compare = random.choice([0, 1, 2, self.likely()])
            message.compare_and_set.update = number
        elif kind != "get":
            getattr(message, kind).delta = number
        # Reading takes no lock, so it needs the counter alone.
        return message, [(self, kind == "get")]

    def likely(self):
        if not self.answered or self.answered[-1][3] is None:
            return 0
        return self.answered[-1][3]

    def answer(self, message, index, status, output):
        value = None
        if status == Status.OK:
            reply = counter_pb2.CounterOutput.FromString(output)
            kind = message.WhichOneof("payload")
            expect(reply.WhichOneof("payload"), kind, "kind of output")
            value = getattr(reply, kind).value
        self.answered.append((index, message, status, value))

    @staticmethod
    def apply(value, message):
        """The value afterwards, and status and value of the answer."""
        kind = message.WhichOneof("payload")
        after = value
        if kind == "set":
            after = message.set.value
        elif kind == "compare_and_set":
            if value != message.compare_and_set.compare:
                return value, Status.CONFLICT, None
            after = message.compare_and_set.update
        elif kind == "increment":
            after = value + message.increment.delta
        elif kind == "decrement":
            after = value - message.decrement.delta
        if not -INT64_MAX - 1 <= after <= INT64_MAX:
            return value, Status.INVALID, None
        return after, Status.OK, after

    def check(self):
        """Replay; of commands with one index the first may have made a change,
        and the others, which have not, follow."""
        value = 0
        groups = {}
        for record in self.answered:
            groups.setdefault(record[0], []).append(record)
        for index in sorted(groups):
            after = self.explain(value, groups[index])
            if after is None:
                fail(f"counter {self.name} was {value} before index {index}: {groups[index]}")
            value = after
        return value

    def explain(self, value, group):
        for first in group:
            after, status, result = self.apply(value, first[1])
            if (status, result) == first[2:] and all(
                    self.apply(after, other[1]) == (after,) + other[2:]
                    for other in group if other is not first):
                return after
        return None


class Map:
    """Commands on one key are one at a time, so each answer is known."""

    def __init__(self, name):
        self.type, self.name = "map", name
        self.entries = {}

    def choose(self):
        message = map_pb2.MapInput()
        kind = random.choice(["put"] * 4 + ["insert", "update", "remove", "get"] * 2 +
                             ["size"] + ["clear"] * (random.random() < 0.2))
        getattr(message, kind).SetInParent()
        if kind in ("size", "clear"):
            return message, [(self, True)]
        part = getattr(message, kind)
        part.key = random.choice(["", "a", "b", "c", "d", "e", "f", "\u20ac", "x" * 100])
        if kind in ("put", "insert", "update"):
            part.value.value = random.choice([b"", b"1", b"\0\xff", b"two", b"3" * 1000])
        if kind in ("put", "update", "remove") and random.random() < 0.3:
            part.index = random.choice([1, self.entries.get(part.key, (b"", 5))[1]])
        return message, [(self, False), ((self, part.key), True)]

    def apply(self, message, index):
        """Status and output of the answer that changes at an index gives."""
        kind = message.WhichOneof("payload")
        output = map_pb2.MapOutput()
        getattr(output, kind).SetInParent()
        if kind == "size":
            output.size.size = len(self.entries)
            return Status.OK, output
        if kind == "clear":
            self.entries.clear()
            return Status.OK, output

        part = getattr(message, kind)
        present = self.entries.get(part.key)
        if kind == "insert" and present:
            return Status.ALREADY_EXISTS, None
        if kind in ("update", "remove", "get") and not present:
            return Status.NOT_FOUND, None
        if kind in ("put", "update", "remove") and part.index and \
                (not present or present[1] != part.index):
            return Status.CONFLICT, None
        if kind == "remove":
            entry = self.entries.pop(part.key)
        elif kind == "get" or kind == "put" and present and present[0] == part.value.value:
            entry = present
        else:
            entry = self.entries[part.key] = (part.value.value, index)
        reply = getattr(output, kind).entry
        reply.key, reply.value.value, reply.index = part.key, *entry
        return Status.OK, output

    def answer(self, message, index, status, output):
        expected_status, expected = self.apply(message, index)
        expect(Status.Name(status), Status.Name(expected_status), f"status of {message}")
        if expected is not None:
            expect(map_pb2.MapOutput.FromString(output), expected, f"output of {message}")


# ---------------------------------------------------------------- sessions

class Session:
    def __init__(self):
        self.id = None
        self.started = 0            # numbers up to this were given out
        self.service_ids = {}
        self.open = set()           # numbers without an answer
        self.done = {}              # numbers that may be asked again: the command
        self.over = []              # commands that are acknowledged

    def headers(self, number, service=None):
        headers = headers_pb2.CommandRequestHeaders(command_sequence_num=number)
        headers.operation.session.session.partition.partition_id = 1
        headers.operation.session.session.session_id = self.id or 0
        if service is not None:
            headers.operation.session.service_id = self.service_ids[service.name]
        return headers.SerializeToString()


class Command:
    """One number with its request, and its answer once there is one."""

    def __init__(self, session, service, message, resources):
        session.started += 1
        self.session, self.number = session, session.started
        self.service, self.message, self.resources = service, message, resources
        self.headers = session.headers(self.number, service)
        self.input = fsm_pb2.PartitionInput(session_input=fsm_pb2.SessionInput(
            session_id=session.id, service_input=fsm_pb2.ServiceInput(
                payload=message.SerializeToString()))).SerializeToString()
        self.answer = None
        session.open.add(self.number)

    def accept(self, answer):
        """Take an answer; all of one number are the same, byte for byte."""
        if self.answer is not None:
            expect(answer, self.answer, f"repeated answer of {self.number}")
            return
        self.answer = answer
        headers = headers_pb2.CommandResponseHeaders.FromString(answer[0])
        partition = headers.operation.session.session.partition
        output = fsm_pb2.PartitionOutput.FromString(answer[1])
        expect(headers.output_sequence_num, 1, "output number")
        self.service.answer(self.message, partition.index, partition.status,
                            output.session_output.service_output.payload)
        self.session.open.discard(self.number)
        self.session.done[self.number] = self
        for name, alone in self.resources:
            release(name, alone)


def literal(data):
    return f"'\\x{data.hex()}'::bytea"


def unhex(text):
    return bytes.fromhex(text[2:])


class Request:
    """What is sent in one statement: one command, or a batch."""

    def __init__(self, commands, expected_error=None):
        self.commands, self.expected_error = commands, expected_error

    def sql(self):
        if len(self.commands) == 1 and random.random() < 0.8:
            command = self.commands[0]
            return ("SELECT headers, output FROM atomix.partition_command("
                    f"{literal(command.headers)}, {literal(command.input)})")
        return ("SELECT headers, output FROM atomix.partition_commands(ARRAY["
                + ", ".join(literal(c.headers) for c in self.commands) + "], ARRAY["
                + ", ".join(literal(c.input) for c in self.commands) + "]) ORDER BY n")

    def finish(self, connection):
        if self.expected_error or connection.error:
            expect(connection.error, self.expected_error,
                   f"error of {[c.number for c in self.commands]} ({getattr(connection, 'message', '')})")
            return
        expect(len(connection.rows), len(self.commands), "number of answers")
        for command, row in zip(self.commands, connection.rows):
            command.accept((unhex(row[0]), unhex(row[1])))


class KeepAlive:
    """Acknowledge what is over, by a filter of what is not."""

    def __init__(self, session):
        self.session, self.last = session, session.started
        self.filter = Filter(sorted(session.open))
        # Those that the filter contains by chance stay.
        self.gone = [n for n in session.done if not self.filter.contains(n)]
        for number in self.gone:
            session.over.append(session.done.pop(number))

    def sql(self):
        message = fsm_pb2.PartitionInput(keep_alive=fsm_pb2.KeepAliveInput(
            session_id=self.session.id, last_command_sequence_num=self.last,
            pending_commands_filter=self.filter.document())).SerializeToString()
        return ("SELECT headers, output FROM atomix.partition_command("
                f"{literal(self.session.headers(0))}, {literal(message)})")

    def finish(self, connection):
        expect(connection.error, None, "error of a keep-alive")
        headers = headers_pb2.CommandResponseHeaders.FromString(unhex(connection.rows[0][0]))
        expect(headers.operation.session.session.partition.status, Status.OK,
               "status of a keep-alive")
        self.session.acknowledging = False


# --------------------------------------------------------------- scheduling

held = {}                           # resource: -1 alone, or by how many


def available(resources):
    return all(held.get(name, 0) == 0 or not alone and held[name] > 0
               for name, alone in resources)


def reserve(resources):
    for name, alone in resources:
        held[name] = -1 if alone else held.get(name, 0) + 1


def release(name, alone):
    held[name] = 0 if alone else held[name] - 1


class Load:
    def __init__(self):
        self.services = [Counter("c1"), Counter("c2"), Map("m1"), Map("m2")]
        self.sessions = [Session() for _ in range(SESSIONS)]
        self.control = connect()
        self.connections = [connect() for _ in range(CONNECTIONS)]
        self.retry = []             # requests without an answer
        self.counts = dict.fromkeys(["commands", "answers", "lost", "duplicates", "late",
                                     "reused", "keep-alives", "batches"], 0)

    def prepare(self):
        for session in self.sessions:
            opening = fsm_pb2.PartitionInput()
            opening.open_session.timeout.seconds = 600
            output = self.call(session.headers(0), opening)
            session.id = output.open_session.session_id
            session.acknowledging = False
            for service in self.services:
                creating = fsm_pb2.PartitionInput()
                creating.session_input.session_id = session.id
                create = creating.session_input.create_service
                create.service, create.name = service.type, service.name
                session.started += 1
                output, again = [self.call(session.headers(session.started), creating)
                                 for _ in range(2)]
                expect(again, output, "repeated creation")
                session.service_ids[service.name] = \
                    output.session_output.create_service.service_id

    def call(self, headers, message):
        row = self.control.ask(
            "SELECT output FROM atomix.partition_command("
            f"{literal(headers)}, {literal(message.SerializeToString())})")[0]
        return fsm_pb2.PartitionOutput.FromString(unhex(row[0]))

    def is_repeating(self, session):
        """Is a number being asked that a keep-alive might acknowledge?"""
        requests = self.retry + [c.request for c in self.connections if c.request is not None]
        return any(command.session is session and command.number in session.done
                   for request in requests if isinstance(request, Request)
                   for command in request.commands)

    def new_command(self, session):
        service = random.choice(self.services)
        message, resources = service.choose()
        if not available(resources):
            return None
        reserve(resources)
        self.counts["commands"] += 1
        return Command(session, service, message, resources)

    def choose(self):
        """The next request, or None if what was thought of is not possible."""
        session = random.choice(self.sessions)
        if self.retry and random.random() < 0.5:
            return self.retry.pop(random.randrange(len(self.retry)))
        dice = random.random()
        if dice < 0.10 and session.done and not session.acknowledging:
            self.counts["duplicates"] += 1
            return Request([random.choice(list(session.done.values()))])
        if dice < 0.13 and session.over and not session.acknowledging:
            self.counts["late"] += 1
            return Request([random.choice(session.over)], "MX004")
        if dice < 0.15 and session.done and not session.acknowledging:
            return self.reused(session)
        if dice < 0.19 and not session.acknowledging and not self.is_repeating(session):
            self.counts["keep-alives"] += 1
            session.acknowledging = True
            return KeepAlive(session)
        if dice < 0.29:
            return self.batch()
        command = self.new_command(session)
        return command and Request([command])

    def reused(self, session):
        """A number that was used for something else."""
        command = random.choice(list(session.done.values()))
        other = Command.__new__(Command)
        other.session, other.number, other.headers = session, command.number, command.headers
        if command.service.type == "counter":
            message = counter_pb2.CounterInput()
            message.increment.delta = 99999
        else:
            message = map_pb2.MapInput()
            message.put.key = "reused"
        other.input = fsm_pb2.PartitionInput(session_input=fsm_pb2.SessionInput(
            service_input=fsm_pb2.ServiceInput(
                payload=message.SerializeToString()))).SerializeToString()
        self.counts["reused"] += 1
        return Request([other], "MX005")

    def batch(self):
        """Commands of any session; sometimes with one that spoils all."""
        commands = [self.new_command(random.choice(self.sessions))
                    for _ in range(random.randrange(1, 9))]
        commands = [c for c in commands if c is not None]
        if not commands:
            return None
        self.counts["batches"] += 1
        session = random.choice(self.sessions)
        if random.random() < 0.1 and session.over and not session.acknowledging:
            # Nothing of it is done: its own commands come again.
            self.retry.append(Request(commands))
            return Request(commands + [random.choice(session.over)], "MX004")
        return Request(commands)

    def submit(self, connection, request):
        connection.request = request
        try:
            connection.send(request.sql())
        except Lost:
            self.lost(connection)

    def lost(self, connection):
        """Whatever the connection was asked is asked again."""
        if connection.request is not None:
            self.retry.append(connection.request)
            self.counts["lost"] += 1
        connection.close()
        self.connections.remove(connection)
        self.connections.append(connect())

    def take(self, connection):
        try:
            if connection.take():
                request, connection.request = connection.request, None
                request.finish(connection)
                self.counts["answers"] += 1
        except Lost:
            self.lost(connection)

    def disturb(self):
        """Kill a server process, or ask the same of two at once."""
        busy = [c for c in self.connections if c.request is not None]
        idle = [c for c in self.connections if c.request is None]
        dice = random.random()
        if busy and dice < 0.02:
            self.control.ask(f"SELECT pg_terminate_backend({random.choice(busy).pid})")
        elif busy and idle and dice < 0.06:
            request = random.choice(busy).request
            if isinstance(request, Request):
                self.submit(random.choice(idle), request)

    def restart(self):
        print("restart", flush=True)
        sys.stdin.readline()
        self.control.close()
        self.control = connect()
        for connection in list(self.connections):
            self.drain(connection)

    def drain(self, connection):
        """What had arrived before the server went down still counts."""
        while connection in self.connections and connection.request is not None:
            self.take(connection)
        if connection in self.connections:
            self.lost(connection)

    def step(self, fresh):
        for connection in self.connections[:]:
            if connection.request is None and random.random() < 0.8:
                request = self.choose() if fresh else self.retry and self.retry.pop()
                if request:
                    self.submit(connection, request)
        self.disturb()
        busy = [c for c in self.connections if c.request is not None]
        ready = select.select([c.socket for c in busy], [], [], 0.001)[0] if busy else []
        for connection in busy:
            if connection.socket in ready:
                self.take(connection)

    def run(self):
        end = time.monotonic() + float(seconds)
        restart_at = int(target) / 2
        while self.counts["commands"] < int(target) and time.monotonic() < end:
            self.step(True)
            if self.counts["commands"] >= restart_at:
                restart_at = math.inf
                self.restart()
        while self.retry or any(c.request for c in self.connections):
            if time.monotonic() > end + 30:
                fail("not all commands are answered")
            self.step(False)
        expect(restart_at, math.inf, "restarted")

    def check_state(self):
        """The state in the tables, and what is remembered of the sessions."""
        for service in self.services:
            if service.type == "counter":
                value = service.check()
                row = self.control.ask(f"SELECT atomix.counter_get('{service.name}')")[0]
                expect(int(row[0]), value, f"counter {service.name}")
            else:
                rows = self.control.ask(
                    "SELECT encode(convert_to(key, 'UTF8'), 'hex'), value, index"
                    f" FROM atomix.map_entries('{service.name}')")
                found = {bytes.fromhex(r[0]).decode(): (unhex(r[1]), int(r[2])) for r in rows}
                expect(found, service.entries, f"map {service.name}")
        for session in self.sessions:
            self.check_session(session)

    def check_session(self, session):
        """An empty filter acknowledges everything, and nothing is left."""
        keep = KeepAlive(session)
        self.control.ask(keep.sql())
        keep.finish(self.control)
        row = self.control.ask(
            "SELECT ack_floor, (SELECT count(*) FROM atomix.command c"
            " WHERE c.session_id = l.session_id) FROM atomix.lease l"
            f" WHERE session_id = {session.id}")[0]
        expect(row, [str(session.started), "0"], "floor, and what is remembered")


random.seed(int(seed))
load = Load()
try:
    load.prepare()
    load.run()
    load.check_state()
except Failed as failure:
    fail(failure)
print("done: " + ", ".join(f"{count} {what}" for what, count in load.counts.items()), flush=True)
