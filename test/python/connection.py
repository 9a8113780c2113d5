"""A connection to the server, as much of the protocol as the tests need."""

import socket
import struct


class Lost(Exception):
    """The connection is gone."""


class Failed(Exception):
    """A statement that was not to fail did."""


class Connection:
    lost_by = ("57P",)              # errors after which another one is needed

    def __init__(self, socket_path, user, database="postgres"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.buffer = b""
        self.request = None
        try:
            self.socket.connect(socket_path)
            body = struct.pack("!I", 196608) + b"".join(
                s.encode() + b"\0" for s in ("user", user, "database", database, ""))
            self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        except OSError:
            raise Lost from None
        self.rows, self.error, self.message = [], None, None
        self.wait()

    def write(self, data):
        self.rows, self.error, self.message = [], None, None
        try:
            self.socket.sendall(data)
        except OSError:
            raise Lost from None

    def send(self, sql):
        body = sql.encode() + b"\0"
        self.write(b"Q" + struct.pack("!I", len(body) + 4) + body)

    def prepare(self, name, sql):
        """Prepare a statement under a name."""
        body = name.encode() + b"\0" + sql.encode() + b"\0" + b"\0\0"
        self.write(b"P" + struct.pack("!I", len(body) + 4) + body + b"S\0\0\0\4")
        self.wait()
        self.check(sql)

    def execute(self, name, arguments):
        """Execute a prepared statement; arguments are text or None."""
        values = [None if a is None else a.encode() for a in arguments]
        bind = b"\0" + name.encode() + b"\0" + struct.pack("!HH", 0, len(values))
        for value in values:
            bind += struct.pack("!i", -1) if value is None \
                else struct.pack("!i", len(value)) + value
        bind += struct.pack("!H", 0)
        run = b"\0" + struct.pack("!I", 0)
        self.write(b"B" + struct.pack("!I", len(bind) + 4) + bind
                   + b"E" + struct.pack("!I", len(run) + 4) + run + b"S\0\0\0\4")
        self.wait()

    def take(self):
        """Handle what has arrived; true once the answer is complete."""
        try:
            data = self.socket.recv(65536)
        except OSError:
            raise Lost from None
        if not data:
            raise Lost
        self.buffer += data
        while len(self.buffer) >= 5:
            length = struct.unpack("!I", self.buffer[1:5])[0]
            if len(self.buffer) <= length:
                break
            kind, body = self.buffer[:1], self.buffer[5:length + 1]
            self.buffer = self.buffer[length + 1:]
            if kind == b"Z":
                return True
            self.handle(kind, body)
        return False

    def handle(self, kind, body):
        if kind == b"K":
            self.pid = struct.unpack("!I", body[:4])[0]
        elif kind == b"E":
            fields = {f[:1]: f[1:].decode() for f in body.split(b"\0") if f}
            self.error = fields[b"C"]
            self.message = fields[b"M"]
            if fields[b"V"] != "ERROR" or self.error.startswith(self.lost_by):
                raise Lost
        elif kind == b"D":
            row, at = [], 2
            for _ in range(struct.unpack("!H", body[:2])[0]):
                size = struct.unpack("!i", body[at:at + 4])[0]
                row.append(None if size < 0 else body[at + 4:at + 4 + size].decode())
                at += 4 + max(size, 0)
            self.rows.append(row)

    def wait(self):
        while not self.take():
            pass

    def check(self, sql):
        if self.error:
            raise Failed(f"{self.error} {self.message}: {sql}")

    def ask(self, sql):
        self.send(sql)
        self.wait()
        self.check(sql)
        return self.rows

    def close(self):
        self.socket.close()
