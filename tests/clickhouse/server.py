"""ClickHouse for the tests: its own engine (chdb) behind as much of its HTTP interface as the program uses.

    python server.py FOLDER

Prints `ready PORT`, and ends with its standard input. A test has a database of its own. Controls:

    POST /_run/DB   a JSON list of statements
    POST /_ask/DB   a query, for its rows as TabSeparated
    POST /_fault/DB a JSON list of faults for the batches to come, one each: null, "before", "after", "503"
    GET  /_log/DB   the statements that the program has sent

The engine is one session, so requests take turns.
"""

import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb import session

USERS = {"default": "db-Zq7secret9xWv", "reader": "db-Zq7secret9xWv"}
ENGINE = session.Session(os.path.join(sys.argv[1], "data"))
TURN = threading.Lock()
LOGS = {}
FAULTS = {}


class Refused(Exception):
    def __init__(self, status, code, text):
        super().__init__(text)
        self.status, self.code = status, code
        self.text = f"Code: {code}. DB::Exception: {text} (version 26.9.0.1 (official build))\n"


def of_engine(error):
    text = str(error).removeprefix("Streaming query failed: ")
    found = re.match(r"Code: (\d+)\. DB::Exception: (.*)", text, re.S)
    code, text = (int(found[1]), found[2]) if found else (1002, text)
    status = {60: 404, 81: 404, 47: 404, 62: 400}.get(code, 500)
    return Refused(status, code, text)


def with_settings(sql, user, settings):
    """The settings as the statement itself may have them."""
    if user == "reader" and settings:
        name = next(iter(settings))
        raise Refused(500, 164, f"Cannot modify '{name}' setting in readonly mode. (READONLY)")
    reads = re.match(r"\s*(SELECT|DESCRIBE|WITH)\b", sql, re.I)
    if not reads and (user == "reader" or "readonly" in settings):
        raise Refused(500, 164, "Cannot execute query in readonly mode. (READONLY)")
    # That it cannot write is seen to above: the engine would not let go of it.
    settings = {name: value for name, value in settings.items() if name != "readonly"}
    # What is said of the request, not of the statement.
    for name in ("query_id", "wait_end_of_query"):
        settings.pop(name, None)
    head = re.match(r"INSERT INTO [^\n]*?(?= FORMAT )", sql)
    if settings and head:
        said = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
        return f"{head[0]} SETTINGS {said}{sql[head.end():]}"
    if not settings or not reads or re.search(r"\bSETTINGS\b|^\s*DESCRIBE", sql, re.I):
        return sql
    return sql + "\nSETTINGS " + ", ".join(f"{name} = '{value}'" for name, value in settings.items())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        database = self.path.removeprefix("/_log/")
        self.answer(200, json.dumps(LOGS.get(database, [])).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path.startswith("/_run/"):
            self.control(self.path.removeprefix("/_run/"), json.loads(body))
            return
        if self.path.startswith("/_ask/"):
            with TURN:
                ENGINE.query(f"USE {self.path.removeprefix('/_ask/')}")
                found = ENGINE.query(body, "TabSeparated").bytes()
            self.answer(200, found)
            return
        if self.path.startswith("/_fault/"):
            FAULTS[self.path.removeprefix("/_fault/")] = json.loads(body)
            self.answer(200, b"{}")
            return
        try:
            fault = self.fault(body)
            if fault == "503":
                raise Refused(503, 202, "Too many simultaneous queries.")
            if fault == "before":
                self.close_connection = True
                return
            if fault == "after":
                # What is done, and nobody hears of.
                self.wfile = open(os.devnull, "wb")
                self.close_connection = True
            self.query(body)
        except Refused as error:
            self.answer(error.status, error.text.encode(), [("X-ClickHouse-Exception-Code", str(error.code))])

    def fault(self, sql):
        """What is to go wrong with a batch."""
        database = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)).get("database", "default")
        faults = FAULTS.get(database)
        return faults.pop(0) if faults and re.match("INSERT INTO .* FORMAT ", sql) else None

    def control(self, database, statements):
        with TURN:
            ENGINE.query(f"CREATE DATABASE IF NOT EXISTS {database}")
            ENGINE.query(f"USE {database}")
            for statement in statements:
                ENGINE.query(statement)
        self.answer(200, b"{}")

    def query(self, sql):
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        user, password = self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")
        if USERS.get(user) != password:
            text = f"{user}: Authentication failed: password is incorrect, or there is no user with such name."
            raise Refused(403, 516, f"{text} (AUTHENTICATION_FAILED)")
        database = parameters.pop("database", "default")
        LOGS.setdefault(database, []).append(sql)
        if sql.startswith("KILL QUERY"):
            # The engine ends what it does before it looks at another request.
            self.answer(200, b"")
            return
        places = {name: parameters.pop(name) for name in list(parameters) if name.startswith("param_")}
        sql = with_settings(sql, user, parameters)
        with TURN:
            try:
                ENGINE.query(f"USE {database}")
                for name, value in places.items():
                    value = value.replace("\\", "\\\\").replace("'", "\\'")
                    ENGINE.query(f"SET {name} = '{value}'")
                self.stream(sql)
            except RuntimeError as error:
                raise of_engine(error) from None

    def stream(self, sql):
        """Answers in parts, as they come. What goes wrong before the first is an answer of its own."""
        begun = False
        is_stream = sql.lstrip().upper().startswith("SELECT")
        parts = iter(ENGINE.send_query(sql, "TabSeparated") if is_stream else [ENGINE.query(sql, "TabSeparated")])
        try:
            while True:
                part = next(parts, None)
                if not begun:
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    begun = True
                if part is None:
                    break
                data = part.bytes()
                if data:
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        except RuntimeError as error:
            if not begun:
                raise
            data = f"\n{of_engine(error).text}".encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        except OSError:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # Programs that have read enough, or were killed.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {server.server_address[1]}", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
