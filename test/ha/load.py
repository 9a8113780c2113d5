"""Clients at work: each remembers what it was answered.

A client asks until it is answered; after a lost reply it asks the same again,
wherever the server is by then.
"""

import re
import threading
import time

import psycopg2

# Answers that say nothing of the call: the server goes, comes, or is another.
PASSING = re.compile("08|57P|25006|40|55P03")


class Refused(Exception):
    """An error of the extension, by its SQLSTATE."""

    def __init__(self, error):
        super().__init__(str(error).strip())
        self.sqlstate = error.pgcode


class Load:
    """What all clients share: where to go, and when answers came."""

    def __init__(self, cluster):
        self.where = {
            "host": ",".join("127.0.0.1" for _ in cluster.nodes),
            "port": ",".join(str(node.port) for node in cluster.nodes),
            "user": "postgres",
            "password": cluster.password,
            "dbname": "postgres",
            "target_session_attrs": "read-write",
            "connect_timeout": 3,
        }
        self.answers = []

    def longest_silence(self, since, until):
        """The longest time in which no call was answered."""
        times = [since] + [t for t in self.answers if since < t < until] + [until]
        return max(b - a for a, b in zip(times, times[1:]))

    def answered_since(self, when):
        return bool(self.answers) and self.answers[-1] > when


class Asker:
    """A connection to whichever server can be written to."""

    def __init__(self, load):
        self.load = load
        self.connection = None
        self.repeated = 0

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def ask_once(self, sql, values):
        if self.connection is None:
            self.connection = psycopg2.connect(**self.load.where)
            self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def ask(self, sql, *values):
        """The rows that the statement gives, sooner or later."""
        while True:
            try:
                return self.ask_once(sql, values)
            except psycopg2.Error as error:
                if error.pgcode and not PASSING.match(error.pgcode):
                    raise Refused(error) from error
                self.disconnect()
                self.repeated += 1
                time.sleep(0.1)


class Client(Asker, threading.Thread):
    """A session, and what is done with it again and again."""

    def __init__(self, load, name):
        Asker.__init__(self, load)
        threading.Thread.__init__(self, name=name, daemon=True)
        self.stopping = threading.Event()
        self.failure = None
        self.session = self.ask("SELECT atomix.open_session('10 s', name => %s)", name)[0][0]

    def run(self):
        try:
            while not self.stopping.is_set():
                self.work()
                self.load.answers.append(time.monotonic())
        except Exception as error:  # told at the end
            self.failure = f"{self.name}: {type(error).__name__}: {error}"
        self.disconnect()

    def stop(self):
        """Why it has not done all it was to do; None if it has."""
        self.stopping.set()
        self.join(120)
        return f"{self.name} gets no answer" if self.is_alive() else self.failure

    def work(self):
        raise NotImplementedError


class Worker(Client):
    """Adds to a counter in numbered calls, each under a lock if it is free."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.number = 0
        self.values = []
        self.held = []

    def work(self):
        granted, token = self.ask("SELECT granted, token FROM atomix.lock_try(%s, 'shared')",
                                  self.session)[0]
        self.number += 1
        self.values.append(self.ask(
            "SELECT atomix.counter_increment('c', session_id => %s, sequence_num => %s)",
            self.session, self.number)[0][0])
        if granted:
            # The counter tells in which order the holders came.
            self.held.append((token, self.values[-1]))
            self.ask("SELECT atomix.lock_release(%s, 'shared', %s)", self.session, token)
        if self.number % 10 == 0:
            self.ask("SELECT atomix.ack(%s, %s)", self.session, self.number)
        time.sleep(0.01)


class Holder(Client):
    """Has a lock all the time, and does nothing but keep its session alive."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.token = self.ask("SELECT token FROM atomix.lock_try(%s, %s)", self.session, name)[0][0]

    def work(self):
        self.ask("SELECT atomix.keep_alive(%s)", self.session)
        time.sleep(1)


class Heir(Client):
    """Queues for the lock of a session that nobody keeps alive."""

    def __init__(self, load, name, lock):
        super().__init__(load, name)
        self.lock = lock
        self.gone = self.ask("SELECT atomix.open_session('5 s', name => %s)", lock)[0][0]
        self.first = self.ask("SELECT token FROM atomix.lock_try(%s, %s)", self.gone, lock)[0][0]
        self.opened = time.monotonic()
        self.ask("SELECT atomix.lock_acquire(%s, %s)", self.session, lock)
        self.token = None
        self.waited = None

    def work(self):
        self.ask("SELECT atomix.keep_alive(%s)", self.session)
        if self.token is None:
            self.token = self.ask("SELECT token FROM atomix.lock_acquire(%s, %s)",
                                  self.session, self.lock)[0][0]
            self.waited = time.monotonic() - self.opened
        time.sleep(0.2)


class Writer(Client):
    """Puts numbered entries into the map that the consumer has a stream of."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.number = 0

    def work(self):
        self.ask("SELECT index FROM atomix.map_put_text('m', %s, 'x',"
                 " session_id => %s, sequence_num => %s)",
                 f"put-{self.number + 1}", self.session, self.number + 1)
        self.number += 1
        if self.number % 10 == 0:
            self.ask("SELECT atomix.ack(%s, %s)", self.session, self.number)
        time.sleep(0.02)


class Consumer(Client):
    """Reads the stream, and acknowledges what it has read."""

    EVENTS = bytes.fromhex("4200")

    def __init__(self, load, name):
        super().__init__(load, name)
        service = self.ask("SELECT atomix.create_service(%s, 'map', 'm')", self.session)[0][0]
        self.ask("SELECT status FROM atomix.command(%s, %s, %s, 1)", self.session, service,
                 self.EVENTS)
        self.last = (0, None)
        self.puts = []
        self.resumed = 0

    def take(self, number, kind, output, index):
        if number <= self.last[0]:
            return
        if number != self.last[0] + 1 or kind == "close":
            raise RuntimeError(f"output {number}, {kind}, follows {self.last[0]}")
        self.last = (number, index)
        if kind == "response":
            self.puts.append(int(re.search(rb"put-(\d+)", bytes(output)).group(1)))

    def work(self):
        try:
            rows = self.ask("SELECT output_num, kind, output, index"
                            " FROM atomix.fetch_outputs(%s, 1)", self.session)
            for row in rows:
                self.take(*row)
            if rows:
                self.ask("SELECT atomix.ack(%s, 1, %s)", self.session, self.last[0])
            else:
                self.ask("SELECT atomix.wait_events(%s, '1 s'), atomix.keep_alive(%s)",
                         self.session, self.session)
        except Refused as refused:
            if refused.sqlstate != "MX007":
                raise
            self.ask("SELECT atomix.resume_stream(%s, 1, %s, %s)", self.session, *self.last)
            self.resumed += 1
