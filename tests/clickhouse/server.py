"""ClickHouse's HTTP interface over its embedded engine, for the tests of --source clickhouse.

    server.py FOLDER        databases are kept there; prints `ready PORT`, and ends with its standard input

Parameters of the URL other than `database` and `default_format` are settings, as at the real one. `loader` with the password
of the environment is the only user.
"""

import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb

FOLDER = os.path.join(sys.argv[1], "clickhouse")
PASSWORD = os.environ["CLICKHOUSE_TEST_PASSWORD"]
ENGINE = threading.Lock()
# The codes that have a status of their own; any other error is a 500 (source: `exceptionCodeToHTTPStatus` in ClickHouse).
STATUS = {60: 404, 81: 404, 47: 400, 62: 400, 46: 400, 497: 403, 516: 403}
SESSION = {"wait_end_of_query", "buffer_size"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        user, key = self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")
        if (user, key) != ("loader", PASSWORD):
            return self.answer(516, b"Code: 516. DB::Exception: loader: Authentication failed. (AUTHENTICATION_FAILED)")
        settings = dict(parse_qsl(urlsplit(self.path).query))
        form = settings.pop("default_format", "TabSeparated")
        database = settings.pop("database", "default")
        readonly = settings.pop("readonly", None)
        sets = [f"SET {name}='{value}'" for name, value in settings.items() if name not in SESSION]
        sets += [f"SET readonly={readonly}"] if readonly else []
        try:
            with ENGINE:
                sql = "; ".join([f"USE {database}", *sets, body])
                answer = chdb.query(sql, form, path=FOLDER).bytes()
        except Exception as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            return self.answer(int(code[1]) if code else 1002, text.encode())
        self.answer(0, answer)

    def answer(self, code, body):
        self.send_response(STATUS.get(code, 500) if code else 200)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"ready {server.server_port}", flush=True)
sys.stdin.read()
