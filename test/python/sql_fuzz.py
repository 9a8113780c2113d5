"""Hostile arguments for every function of the extension, which are found in
the catalog, from a role that may do nothing but call them.

Usage: sql_fuzz.py DESCRIPTORS SOCKET SUPERUSER SEED CALLS

DESCRIPTORS is what protoc --descriptor_set_out wrote.  So many calls are made
of each face: the wire functions, the typed ones, and, by another role, those
for administrators.  Some go in transactions.  No call may end the server
process, last long, raise an internal error or one that is not announced, change
what belongs to the role's neighbour, or leave memory behind.  In a database
without a worker, where nothing changes by itself, what calls changed is taken
back by savepoints, and then nothing is to be left of them.
"""

import random
import re
import sys
import time

from google.protobuf import json_format

from connection import Connection, Failed, Lost
from random_messages import bloom, fill, message_classes, method_requests, random_value

descriptors, socket_path, superuser, seed, target = sys.argv[1:]

TYPES = ["counter", "map", "lock", "election"]

# What a call may be refused with: all that the documentation announces, and
# what PostgreSQL itself says of arguments that its types do not take.
ANNOUNCED = {
    "0A000",                            # operations that are not supported
    "22000", "22003", "22007", "22008", "22015", "2202E", "22P02",
    "22P05", "22021",                   # values outside of their types
    "22004", "22023", "22P03",
    "25001", "25006", "39P01",          # not where it was called
    "40001", "42501", "42704", "53400", "54000", "55000", "55P03", "57P03",
    "MX001", "MX002", "MX003", "MX004", "MX005", "MX006", "MX007", "MX008", "MX009"}

# Least time that no call of these settings has a reason to take.
LONGEST_CALL = 5.0

# Growth that is borne after the first third of the calls, in bytes.
MOST_TOP_GROWTH = 64 * 1024
MOST_CACHE_GROWTH = 1024 * 1024


class Defect(Exception):
    """What the fuzz looks for."""


def expect(condition, what):
    if not condition:
        raise Defect(what)


# ------------------------------------------------------------------ values

HOSTILE_TEXTS = [
    "", " ", "a", "'", '"', "\\", "\\x00", "%s%n%d", "$1", "{}", "[]", "null", "a,b", "a\nb",
    "'; DROP TABLE atomix.session; --", "\u20ac", "\U0001f600" * 10, "e\u0301", "\u202e", "\ufffd",
    "x" * 63, "x" * 64, "x" * 255, "x" * 256, "x" * 1000, "x" * 1024, "x" * 1025, "x" * 3000,
    "\u20ac" * 1000, "y" * 70000, "../../etc/passwd", "pg_catalog", "atomix", "public"]
NAMES = ["c", "m", "l", "e"]         # of a service of each type
INTERVALS = [
    "0", "1 microsecond", "1 ms", "5 ms", "1 s", "2 s", "30 s", "1 hour", "1 day", "-1 microsecond",
    "-1 s", "1 mon", "-1 mon", "1 year", "1 mon -30 days", "1 day -24 hours", "-1 day 24 hours",
    "2147483647 days", "-2147483648 days", "178000000 years", "-178000000 years",
    "2562047788 hours", "-2562047788 hours", "9223372036854775807 microseconds",
    "106751991 days 04:00:54.775807", "106751991 days 04:00:54.775808", "2147483647 months",
    "infinity", "-infinity"]
INT8 = ["0", "1", "-1", "2", "3", "5", "100", "1000", "2147483647", "2147483648", "4294967296",
        "9007199254740991", "9223372036854775807", "9223372036854775806", "-9223372036854775808",
        "-9223372036854775807"]
INT4 = ["0", "1", "-1", "2", "3", "10", "1000", "65535", "65536", "2147483647", "-2147483648"]
DEEP = "[" * 2000 + "]" * 2000
JSON = [
    "{}", "[]", "null", "1", '"a"', "true", '{"a":"b"}', '{"a":1}', '{"a":null}', '{"a":{}}', '{"":""}',
    '[{}]', '[null]', '[1]', '[[]]', '[{"type":"counter","name":"a"}]',
    '[{"type":"counter","name":"a","namespace":""},{"type":"map","name":"b"}]',
    '[{"type":"nothing","name":"a"}]', '[{"type":1,"name":"a"}]', '[{"type":"counter","name":null}]',
    '[{"type":"counter"}]', '[{"name":"a"}]', '{"type":"counter","name":"a"}', '{"sessionId":"1"}',
    '{"sessionId":1e400}', '{"headers":{"partitionId":1}}', '{"input":{"timeout":"1s"}}',
    '{"input":{"timeout":"-999999999999s"}}', '{"payload":"!"}', '{"payload":"AAAA"}',
    DEEP, '{"a":' * 500 + "1" + "}" * 500, "[" + ",".join(["{}"] * 3000) + "]",
    '{"a":"' + "x" * 70000 + '"}', '[{"type":"lock","name":"' + "x" * 5000 + '"}]']
VALUES = ["null", "-1", "1.5", "1e400", "0e-16383", "1e2", '"1"', '"01"', '""', '"\\u0001"', '"AAAA"',
          '"9223372036854775808"', '"2026-01-31T09:30:00Z"', '"0001-01-01T00:00:00Z"', '"-1.5s"',
          '"OK"', "[]", "[null]", "{}", '{"a":1}', '{"a":"b"}', '{"1":"2","01":"3"}', "[{}]", "true"]
WORDS = {
    "name": NAMES, "key": NAMES, "after_key": NAMES, "candidate": NAMES,
    "type": TYPES, "service_type": TYPES, "kind": TYPES,
    "role": ["fuzz_caller", "fuzz_victim", "public", "nobody_at_all"],
    "privileges": ["read", "write", "admin", "read,write"]}


class Values:
    """Arguments by name and type; ids that answers tell are used again."""

    def __init__(self):
        self.classes = message_classes(descriptors)
        self.methods = method_requests(descriptors)
        self.chosen = None              # the message that the call names
        self.by_short_name = {}
        for name, message_class in self.classes.items():
            self.by_short_name.setdefault(name.rsplit(".", 1)[1], []).append(message_class)
        self.inputs = [c for n, c in self.classes.items()
                       if n.rsplit(".", 1)[1] in ("CounterInput", "MapInput", "LockInput",
                                                  "LeaderElectionInput")]
        self.sessions, self.services, self.ids, self.foreign = [], [], [], []
        self.function = ""
        self.turn()

    def turn(self):
        """Choose whom the next calls are about."""
        self.session = random.choice(self.sessions) if self.sessions else 1
        self.service = random.choice(self.services) if self.services else 1
        self.mutating = random.random() < 0.5
        self.length = random.randint(1, 6)

    def id(self, favourite):
        dice = random.random()
        if dice < 0.7:
            return favourite
        if dice < 0.8 and self.foreign:
            return random.choice(self.foreign)
        if dice < 0.9 and self.ids:
            return random.choice(self.ids)
        return int(random.choice(INT8))

    def text(self, name):
        if name == "message" and random.random() < 0.9:
            self.chosen = random.choice(list(self.classes))
            return self.chosen
        if name == "method" and random.random() < 0.9:
            path = random.choice(list(self.methods))
            self.chosen = self.methods[path]
            return random.choice([path, path[1:]])
        if name == "namespace" and random.random() < 0.9:
            return random.choice(["", "", "", "", "private"])
        if name == "name" and random.random() < 0.6:
            # A function of locks begins with l, of semaphores with s.
            return {"s": "l", "h": "l"}.get(self.function[0], self.function[0])
        if name in WORDS and random.random() < 0.8:
            return random.choice(WORDS[name])
        if random.random() < 0.2:
            return random.choice(HOSTILE_TEXTS) + random.choice(HOSTILE_TEXTS)
        return random.choice(HOSTILE_TEXTS)

    def number(self, name):
        if name in ("session_id", "session_ids"):
            return str(self.id(self.session))
        if name == "service_id":
            return str(self.id(self.service))
        if name.startswith(("sequence_num", "first_sequence_num", "last_sequence_num")):
            return random.choice([str(random.randint(0, 30)), random.choice(INT8)])
        return random.choice([str(self.id(self.session)), random.choice(INT8)])

    # -------------------------------------------------------------- messages

    def field(self, field):
        """A value that leads far into the server, most of the time."""
        if random.random() < 0.15:
            return random_value(field)
        if field.name == "session_id" and field.message_type is None:
            return self.id(self.session) & (1 << 63) - 1
        if field.name == "service_id" and field.message_type is None:
            return self.id(self.service) & (1 << 63) - 1
        if field.name == "partition_id":
            return 1
        if field.name.endswith("sequence_num"):
            return random.randint(0, 30)
        if field.name == "payload" and field.type == field.TYPE_BYTES:
            return fill(random.choice(self.inputs)(), self.field).SerializeToString()
        if field.name in ("name", "key") and field.type == field.TYPE_STRING:
            return random.choice(NAMES)
        if field.name in ("service", "type") and field.type == field.TYPE_STRING:
            return random.choice(TYPES)
        if field.name in ("namespace", "id") and field.type == field.TYPE_STRING:
            return random.choice(["", "", "", "", "private"])
        return random_value(field)

    def message(self, name):
        """Bytes for an argument: of the message that its name or the
        function's tells, otherwise of any."""
        if self.function in ("call", "message_to_json") and self.chosen:
            classes = [self.classes[self.chosen]]
        elif name in ("payload", "payloads") and random.random() < 0.8:
            classes = self.inputs
        elif name in ("request_headers", "headers", "header"):
            kind = "Query" if "query" in self.function else "Command"
            classes = self.by_short_name[f"{kind}RequestHeaders"] + \
                self.by_short_name["RequestHeader"]
        elif name in ("input", "inputs"):
            classes = self.by_short_name["PartitionInput"]
        else:
            title = "".join(w.title() for w in self.function.split("_")[1:])
            classes = self.by_short_name.get(title + "Request") or \
                self.by_short_name.get(self.function.title().replace("_", "") + "Request") or \
                list(self.classes.values())
        return fill(random.choice(classes)(), self.field).SerializeToString()

    def bytes(self, name):
        dice = random.random()
        if name == "filter":
            data = bloom()
        elif dice < 0.002:
            data = bytes(random.choice([1 << 20, (1 << 20) + 1])) if dice < 0.001 else b"\x0a\0" * 400000
        elif dice < 0.1:
            data = random.randbytes(random.choice([0, 1, 2, 10, 100]))
        else:
            data = self.message(name)
        while self.mutating and random.random() < 0.5:
            data = mutate(data)
        return "\\x" + data.hex()

    def document(self):
        """JSON of the message that the call names, or of anything else."""
        if self.function == "message_from_json" and self.chosen and random.random() < 0.7:
            try:
                text = json_format.MessageToJson(fill(self.classes[self.chosen](), self.field))
            except (json_format.Error, ValueError, TypeError, OverflowError):
                return "{}"             # a time out of range, or an Any
            if self.mutating:
                text = re.sub(r'(?<=: )("[^"]*"|\d+|true|\{\}|\[\])',
                              lambda match: random.choice([match[0]] * 3 + VALUES), text)
            return text
        return random.choice(JSON)

    # ----------------------------------------------------------------- types

    def scalar(self, name, kind):
        if kind == "text":
            return self.text(name)
        if kind == "bigint":
            return self.number(name)
        if kind == "integer":
            return "1" if name == "partition_id" and random.random() < 0.8 else random.choice(INT4)
        if kind == "boolean":
            return random.choice(["true", "false"])
        if kind == "interval":
            return random.choice(INTERVALS)
        if kind == "bytea":
            return self.bytes(name)
        if kind == "jsonb":
            return self.document()
        if kind in ("regrole", "name", "oid"):
            return random.choice(WORDS["role"] + ["0", "1", "4294967295"])
        if kind == "timestamp with time zone":
            return random.choice(["now", "epoch", "infinity", "-infinity", "294276-12-31", "4713-01-01 BC"])
        raise Defect(f"argument {name} of {self.function} is of type {kind}, for which there are no values")

    def array(self, name, kind):
        def elements(number):
            return ["NULL" if random.random() < 0.03 else quote(self.scalar(name, kind))
                    for _ in range(number)]
        dice = random.random()
        if dice < 0.03:
            return "{}"
        if dice < 0.05:
            return "{NULL}"
        if dice < 0.10:
            return "{{" + ",".join(elements(2)) + "},{" + ",".join(elements(2)) + "}}"
        if dice < 0.15:
            return f"[{random.choice(['0:1', '-5:-4', '2147483645:2147483646'])}]=" \
                "{" + ",".join(elements(2)) + "}"
        if dice < 0.16:
            one = elements(1)
            return "{" + ",".join(one * (3000 if len(one[0]) < 10000 else 3)) + "}"
        return "{" + ",".join(elements(self.length)) + "}"

    def argument(self, name, kind):
        if random.random() < 0.03:
            return None
        if kind.endswith("[]"):
            return self.array(name, kind[:-2])
        return self.scalar(name, kind)

    def learn(self, function, rows):
        """Ids that are worth being used again."""
        for row in rows[:3]:
            for value in row:
                if value is not None and value.isdigit() and 12 < len(value) < 18:
                    known = self.sessions if function == "open_session" else \
                        self.services if function == "create_service" else self.ids
                    known.append(int(value))
                    del known[:-20]


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mutate(data):
    """The bytes with one change."""
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice([1, 1, 1, 2, 4, 8, 50]))
    kind = random.randrange(6)
    if kind == 0:
        return data[:at] + data[end:]
    if kind == 1:
        return data[:at] + random.randbytes(end - at) + data[end:]
    if kind == 2:
        return data[:at] + data[at:end] * random.choice([2, 3, 20]) + data[end:]
    if kind == 3:
        return data[:at]
    if kind == 4:
        number = random.choice([b"\0", b"\x7f", b"\x80\1", b"\xff" * 4 + b"\x0f", b"\xff" * 9 + b"\1",
                                b"\xff" * 10, b"\x80" * 9 + b"\0"])
        return data[:at] + number + data[end:]
    return data[:at] + (bytes([data[at] ^ 1 << random.randrange(8)]) if at < len(data) else b"\0") \
        + data[at + 1:]


# --------------------------------------------------------------- functions

class Function:
    def __init__(self, row):
        self.name, self.required, self.public, self.trigger = \
            row[0], int(row[3]), row[4] == "t", row[5] == "t"
        self.arguments = list(zip(row[1].split("|"), row[2].split("|"))) if row[1] else []
        self.wire = self.name.startswith(("partition_", "runtime_", "session_", "message_")) \
            and any(kind.startswith("bytea") for _, kind in self.arguments) or self.name == "call"

    def sql(self, count):
        casts = ", ".join(f"${i + 1}::{kind}" for i, (_, kind) in enumerate(self.arguments[:count]))
        call = f"atomix.{self.name}({casts})"
        if random.random() < 0.7:
            return f"SELECT * FROM {call}"
        return random.choice([
            f"SELECT {call}", f"SELECT * FROM {call} LIMIT 1", f"SELECT (SELECT count(*) FROM {call})",
            f"WITH c AS MATERIALIZED (SELECT * FROM {call}) SELECT * FROM c, c AS d LIMIT 3"])


def functions_of(control):
    """Functions of the extension, but what moves the clock of all."""
    return [Function(row) for row in control.ask(
        "SELECT p.proname, coalesce((SELECT string_agg(p.proargnames[i], '|' ORDER BY i)"
        "   FROM generate_series(1, p.pronargs) i), ''),"
        " coalesce((SELECT string_agg(format_type(t, NULL), '|' ORDER BY i)"
        "   FROM unnest(p.proargtypes) WITH ORDINALITY u (t, i)), ''),"
        " p.pronargs - p.pronargdefaults, has_function_privilege('fuzz_caller', p.oid, 'EXECUTE'),"
        " p.prorettype = 'trigger'::regtype"
        " FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass"
        " AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid"
        " WHERE e.extname = 'atomix' AND p.proname <> '_advance_clock' ORDER BY 1")]


class Caller(Connection):
    """Calls functions with arguments that it makes up."""
    lost_by = ("57P01", "57P02")

    def __init__(self, user, database, values, functions):
        self.values, self.functions = values, functions
        self.counts = {"calls": 0, "refused": 0, "longest": 0.0}
        self.states, self.statements, self.prepared = {}, {}, {}
        super().__init__(socket_path, user, database)
        for function in functions:
            if function.trigger:
                self.prepare_triggers(function)

    def prepare_triggers(self, function):
        """A trigger function gets its arguments by tables."""
        for number, arguments in enumerate(
                [[], [""], ["a"], ["a", ""], ["a", "", "x"], ["x" * 5000], ["\u20ac'\\"]]):
            table = f"{function.name}_{number}"
            literals = ", ".join("'" + a.replace("'", "''") + "'" for a in arguments)
            self.ask(f"CREATE TABLE mine.{table} (i int)")
            self.ask(f"CREATE TRIGGER t BEFORE INSERT ON mine.{table}"
                     f" FOR EACH {random.choice(['ROW', 'STATEMENT'])}"
                     f" EXECUTE FUNCTION atomix.{function.name}({literals})")
            self.statements.setdefault(function.name, []).append(f"INSERT INTO mine.{table} VALUES (1)")

    def statement(self, function, count):
        """Statement, and its name once prepared, for so many arguments."""
        if function.trigger:
            sql = random.choice(self.statements[function.name])
        else:
            sql = function.sql(count)
        if not sql.startswith(("SELECT * FROM", "INSERT")) or sql.endswith("LIMIT 1"):
            self.prepare("", sql)       # for once, so that caches come to rest
            return sql, ""
        if sql not in self.prepared:
            self.prepared[sql] = f"s{len(self.prepared)}"
            self.prepare(self.prepared[sql], sql)
        return sql, self.prepared[sql]

    def call(self):
        """One call; false if it was refused."""
        function = random.choice(self.functions)
        self.values.function = function.name
        self.values.turn()
        count = len(function.arguments) if random.random() < 0.8 else \
            random.randint(function.required, len(function.arguments))
        arguments = [self.values.argument(name, kind) for name, kind in function.arguments[:count]]
        sql, statement = self.statement(function, count)
        self.latest = (sql, [a if a is None else a[:2000] for a in arguments])
        started = time.monotonic()
        self.execute(statement, arguments)
        took = time.monotonic() - started
        self.counts["longest"] = max(self.counts["longest"], took)
        expect(took < LONGEST_CALL, f"a call took {took} s")
        self.counts["calls"] += 1
        if self.error is None:
            expect(function.public or self.may_administrate, "a restricted function was called")
            self.values.learn(function.name, self.rows)
            return True
        self.counts["refused"] += 1
        self.states[self.error] = self.states.get(self.error, 0) + 1
        expect(self.error in ANNOUNCED, f"error {self.error}: {self.message}")
        expect("invalid memory alloc" not in self.message, self.message)
        return False

    may_administrate = False

    def command(self, sql):
        """Of a transaction; its end may be refused."""
        self.send(sql)
        self.wait()
        if self.error is not None:
            self.latest = (sql, [])
            expect(self.error in ANNOUNCED, f"error {self.error}: {self.message}")

    def transaction(self):
        """A few calls in one transaction."""
        self.command("BEGIN ISOLATION LEVEL " + random.choice(
            ["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE, READ ONLY"]))
        for _ in range(random.randint(1, 5)):
            self.command("SAVEPOINT s")
            if not self.call() or random.random() < 0.2:
                self.command("ROLLBACK TO s")
        self.command(random.choice(["COMMIT", "COMMIT", "ROLLBACK"]))

    def renew(self):
        """Something to be attacked: a session with services."""
        self.values.learn("open_session", self.ask("SELECT atomix.open_session('1 hour', 'fuzz')"))
        self.values.turn()
        for kind in TYPES:
            # Where something else has that name, there is less to attack.
            self.send(f"SELECT atomix.create_service({self.values.sessions[-1]}, '{kind}', '{kind[0]}')")
            self.wait()
            self.values.learn("create_service", self.rows)

    def memory(self):
        return [int(v) for v in self.ask("SELECT * FROM public.memory()")[0]]


# -------------------------------------------------------------------- runs

def prepare(control):
    """Roles, and what they need in a database."""
    control.ask("""
        DO $$ BEGIN
            CREATE ROLE fuzz_caller LOGIN; CREATE ROLE fuzz_victim LOGIN; CREATE ROLE fuzz_admin LOGIN;
        EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        ALTER ROLE fuzz_caller SET lock_timeout = '20ms';
        ALTER ROLE fuzz_admin SET lock_timeout = '20ms';
        CREATE EXTENSION IF NOT EXISTS atomix;
        GRANT USAGE ON SCHEMA atomix TO fuzz_caller, fuzz_victim, fuzz_admin;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA atomix TO fuzz_admin;
        REVOKE EXECUTE ON FUNCTION atomix._advance_clock FROM fuzz_admin;
        CREATE SCHEMA mine;
        GRANT ALL ON SCHEMA mine TO fuzz_caller, fuzz_admin;
        CREATE FUNCTION public.memory(OUT top bigint, OUT cache bigint)
        LANGUAGE sql SECURITY DEFINER AS $$
            SELECT sum(total_bytes) FILTER (WHERE name = 'TopMemoryContext'),
                sum(used_bytes) FILTER (WHERE name = 'CacheMemoryContext'
                    OR c->>'parent' = 'CacheMemoryContext' OR c->'path' @> cache)
            FROM pg_backend_memory_contexts, to_jsonb(pg_backend_memory_contexts) AS c,
                -- from 18 on a context is told by its place, not by its parent's name
                (SELECT to_jsonb(m)->'path'->-1 AS cache FROM pg_backend_memory_contexts m
                    WHERE name = 'CacheMemoryContext') AS place $$""")
    # Takes over the database, for which the calls hardly wait.
    control.ask("SELECT atomix.tick()")


def digest(control, conditions=None):
    """What is in the tables of the extension; given conditions by columns, in
    the rows of tables with such a column."""
    tables = {}
    for table, column in control.ask(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'atomix'::regnamespace AND c.relkind = 'r' AND a.attnum > 0"):
        tables.setdefault(table, []).append(column)
    result = {}
    for table, columns in sorted(tables.items()):
        # A command is its session's, whatever service it names.
        chosen = [conditions[column] for column in columns
                  if column in (conditions or []) and (table, column) != ("command", "service_id")]
        if conditions is None or chosen:
            result[table] = control.ask(
                "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '')"
                f" FROM atomix.{table} t WHERE {' OR '.join(chosen) or 'true'}")[0][0]
    return result


def differences(before, after):
    return ", ".join(f"{name}: {before[name]} became {after[name]}"
                     for name in before if before[name] != after[name])


class Victim:
    """A neighbour with something of everything, to be left alone: sessions with
    what they hold, and a namespace."""

    def __init__(self, control):
        self.control = control
        control.ask("SELECT atomix.grant_namespace('private', 'fuzz_victim', 'write')")
        connection = Connection(socket_path, "fuzz_victim")
        sessions = [connection.ask(
            "SELECT atomix.open_session('1 day', 'victim', labels => '{\"a\":\"b\"}')")[0][0]
            for _ in range(3)]
        self.ids = list(sessions)
        for session in sessions:
            for kind in TYPES:
                self.ids += connection.ask(
                    f"SELECT atomix.create_service({session}, '{kind}', '{kind[0]}', 'private')")[0]
            self.ids += connection.ask(
                f"SELECT token FROM atomix.lock_acquire({session}, 'l', namespace => 'private')")[0]
            connection.ask(f"SELECT * FROM atomix.election_enter({session}, 'e', 'me {session}',"
                           " namespace => 'private')")
            for number in (1, 2, 3):
                connection.ask(f"SELECT atomix.once({session}, {number}, 'request')")
            connection.ask(f"SELECT atomix.ack({session}, 1)")
        connection.ask("SELECT atomix.counter_set('c', 7, 'private')")
        connection.ask("SELECT * FROM atomix.map_put_text('m', 'm', 'secret', namespace => 'private')")
        connection.ask("SELECT count(*) FROM atomix.watch('m', namespace => 'private')")
        connection.close()
        self.ids = [int(i) for i in self.ids if i is not None]
        self.conditions = {
            "session_id": f"session_id IN ({', '.join(sessions)})",
            "service_id": "service_id IN (SELECT service_id FROM atomix.service"
                          " WHERE namespace = 'private')"}
        # What a worker would do to the new sessions is done.
        control.ask("SELECT atomix.tick()")
        self.before = self.look()

    def look(self):
        return digest(self.control, self.conditions)

    def check(self):
        after = self.look()
        expect(after == self.before,
               "what belongs to another role has changed: " + differences(self.before, after))


def run_face(caller, calls, check):
    """So many calls; memory is looked at after a third of them."""
    caller.renew()
    before = None
    checked = 0
    while caller.counts["calls"] < calls:
        if random.random() < 0.02:
            caller.renew()
        if random.random() < 0.03:
            caller.transaction()
        else:
            caller.call()
        if before is None and caller.counts["calls"] > calls / 3:
            before = caller.memory()
        if caller.counts["calls"] - checked >= 5000:
            checked = caller.counts["calls"]
            check()
    check()
    top, cache = (now - then for now, then in zip(caller.memory(), before))
    expect(top < MOST_TOP_GROWTH, f"TopMemoryContext has grown by {top} bytes")
    expect(cache < MOST_CACHE_GROWTH, f"CacheMemoryContext has grown by {cache} bytes")
    return top, cache


def report(face, caller, growth=None):
    states = ", ".join(f"{state} {n}" for state, n in sorted(caller.states.items()))
    print(f"{face}: {caller.counts['calls']} calls, {caller.counts['refused']} refused,"
          f" longest {caller.counts['longest']:.2f} s"
          + (f", memory {growth[0]} and {growth[1]} bytes" if growth else "")
          + f" ({states})", flush=True)


def attempt(face, caller, action):
    """What was called last is told with what went wrong."""
    try:
        return action()
    except (Defect, Lost) as problem:
        print(f"failed: {face}: {problem or 'the connection was lost'}\n"
              f"call: {getattr(caller, 'latest', None)!r}", flush=True)
        sys.exit(1)


def fuzz_faces(calls):
    control = Connection(socket_path, superuser)
    prepare(control)
    victim = Victim(control)
    functions = functions_of(control)
    for face, chosen in [("wire", [f for f in functions if f.wire]),
                         ("typed", [f for f in functions if not f.wire])]:
        values = Values()
        values.foreign = victim.ids
        caller = Caller("fuzz_caller", "postgres", values, chosen)
        growth = attempt(face, caller, lambda: run_face(caller, calls, victim.check))
        report(face, caller, growth)
        caller.close()
    restricted = [f for f in functions if not f.public]
    expect(restricted, "there are functions for administrators")
    caller = Caller("fuzz_admin", "postgres", Values(), restricted)
    caller.may_administrate = True
    growth = attempt("administrators", caller, lambda: run_face(caller, calls, lambda: None))
    report("administrators", caller, growth)
    return control


def fuzz_undone(calls):
    """Blocks of calls of which each is taken back."""
    connection = Connection(socket_path, superuser)
    connection.ask("CREATE DATABASE quiet")
    connection.close()
    control = Connection(socket_path, superuser, "quiet")
    prepare(control)
    functions = [f for f in functions_of(control) if not f.trigger]
    caller = Caller("fuzz_caller", "quiet", Values(), functions)
    for _ in range(3):
        caller.renew()

    def run():
        before = digest(control)
        while caller.counts["calls"] < calls:
            caller.command("BEGIN")
            for _ in range(20):
                caller.command("SAVEPOINT s")
                caller.call()
                caller.command("ROLLBACK TO s")
            caller.command("COMMIT")
            after = digest(control)
            expect(after == before, "calls left traces: " + differences(before, after))
    attempt("undone", caller, run)
    report("undone", caller)


random.seed(int(seed))
try:
    fuzz_faces(int(target))
    fuzz_undone(int(target) // 5)
except Failed as failure:
    print(f"failed: {failure}")
    sys.exit(1)
print("done")
