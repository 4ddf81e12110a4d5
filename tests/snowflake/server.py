"""Snowflake's HTTP protocol for the tests: fakesnow, and what it leaves out.

fakesnow serves the protocol over DuckDB. This adds the members of answers that snowflake-api insists on, checks
passwords and key pairs, cuts results into parts as Snowflake does, breaks to order, and lets tests write tables.

One server serves all tests; each has a database of its own, and what is broken is broken for one database. It ends when
its standard input does: with the tests.

    server.py FOLDER    writes key.p8, key.encrypted.p8, key.rsa into FOLDER, prints `ready PORT`
"""

import asyncio
import base64
import collections
import importlib
import itertools
import json
import logging
import os
import pathlib
import socket
import sys
import threading
import warnings

import jwt
import pyarrow as pa
import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

# `fakesnow.server` the attribute is a function that hides the module.
fake = importlib.import_module("fakesnow.server")
fake.logger.setLevel(logging.CRITICAL)  # each refusal that a test wants
warnings.simplefilter("ignore")

PASSWORD = "pw-Zq7secret9xWv"
FIRST_ROWS = 7  # that come with the answer itself

one_query = asyncio.Lock()  # DuckDB's catalogue is one for all
faults = collections.defaultdict(list)
seen = collections.defaultdict(list)
databases = {}
parts = {}
running = {}
numbers = itertools.count(1)
port = 0
public_key = None
fingerprint = ""


def make_keys(folder):
    global public_key, fingerprint
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_key = key.public_key()
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    fingerprint = "SHA256:" + base64.b64encode(digest.finalize()).decode()
    pkcs8, pkcs1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
    plain, secret = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"x")
    for name, form, how in [("key.p8", pkcs8, plain), ("key.encrypted.p8", pkcs8, secret), ("key.rsa", pkcs1, plain)]:
        path = pathlib.Path(folder, name)
        path.touch(0o600)
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, how))


def refused(code, message, state="", data=True):
    data = {"errorCode": code, "sqlState": state, "age": 0, "internalError": False, "queryId": "q"} if data else None
    return JSONResponse({"data": data, "code": code, "message": message, "success": False, "headers": None})


def fault(database, place):
    """The fault that is next in a database at a place, if one is."""
    for rule in faults[database]:
        if rule["on"] == place and rule.get("after", 0) > 0:
            rule["after"] -= 1
            return None
        if rule["on"] == place and rule.get("count", 1) > 0:
            rule["count"] = rule.get("count", 1) - 1
            return rule
    return None


def broken(rule):
    if "status" in rule:
        return PlainTextResponse("<html>no</html>", rule["status"])
    if "body" in rule:
        return PlainTextResponse(rule["body"])
    return refused(rule["code"], rule["message"], rule.get("state", ""), rule.get("data", True))


async def login(request):
    database = request.query_params.get("databaseName", "").upper()
    body = json.loads(await request.body())["data"]
    seen[database].append("login")
    if rule := fault(database, "login"):
        return broken(rule)
    user = body["LOGIN_NAME"]
    if body.get("AUTHENTICATOR") == "SNOWFLAKE_JWT":
        try:
            claims = jwt.decode(body["TOKEN"], public_key, algorithms=["RS256"])
            good = claims["sub"] == f"{body['ACCOUNT_NAME']}.{user}" and claims["iss"] == claims["sub"] + "." + fingerprint
        except jwt.PyJWTError:
            good = False
        if not good:
            return refused("390144", "JWT token is invalid.")
    elif body.get("PASSWORD") != PASSWORD:
        return refused("390100", "Incorrect username or password was specified.")
    async with one_query:
        answer = json.loads((await fake.login_request(request)).body)
    data = answer["data"]
    data.update(sessionId=next(numbers), masterToken="m", masterValidityInSeconds=14400, validityInSeconds=3600)
    data["sessionInfo"]["roleName"] = "TESTER"
    databases[data["token"]] = database
    return JSONResponse(answer)


async def query(request):
    database = databases.get(fake.to_token(request), "")
    sql = json.loads(await request.body())["sqlText"]
    seen[database].append(sql)
    if rule := fault(database, "query"):
        if rule.get("running"):
            return still_running(database, rule["running"], await answer_of(request, database))
        return broken(rule)
    return await answer_of(request, database)


async def answer_of(request, database):
    async with one_query:
        answer = json.loads((await fake.query_request(request)).body)
    data = answer.get("data")
    if not answer["success"]:
        if data is not None:
            data.update(age=0, internalError=False, queryId="q")
        return JSONResponse(answer)
    data.update(returned=data["total"], version=1, finalRoleName="TESTER")
    if data.get("rowsetBase64"):
        data.update(cut(base64.b64decode(data["rowsetBase64"]), database))
    return JSONResponse(answer)


def cut(ipc, database):
    """As Snowflake does it: the first rows with the answer, the rest in parts that grow."""
    table = pa.ipc.open_stream(ipc).read_all()
    rows, start, size, chunks = table.num_rows, FIRST_ROWS, 100, []
    while start < rows:
        number = next(numbers)
        part = table.slice(start, size).combine_chunks()
        parts[number] = (database, ipc_of(part))
        chunks.append(
            {
                "url": f"http://127.0.0.1:{port}/_part/{number}",
                "rowCount": part.num_rows,
                "uncompressedSize": part.nbytes,
                "compressedSize": part.nbytes,
            }
        )
        start, size = start + size, min(size * 4, 20_000)
    first = base64.b64encode(ipc_of(table.slice(0, FIRST_ROWS).combine_chunks())).decode()
    more = {"chunks": chunks, "chunkHeaders": {"x-test-part": "yes"}} if chunks else {}
    return {"rowsetBase64": first, **more}


def ipc_of(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def still_running(database, polls, answer):
    number = next(numbers)
    running[number] = [polls, database, answer]
    data = {"getResultUrl": f"/queries/{number}/result", "queryId": "q", "queryAbortsAfterSecs": 300}
    return JSONResponse({"data": data, "code": "333333", "message": "running", "success": True})


async def poll(request):
    number = int(request.path_params["number"])
    polls, database, answer = running.pop(number)
    seen[database].append("poll")
    fake.to_conn(fake.to_token(request))
    return answer if polls <= 1 else still_running(database, polls - 1, answer)


async def part(request):
    if request.headers.get("x-test-part") != "yes" or "authorization" in request.headers:
        return Response(status_code=403)
    database, content = parts[int(request.path_params["number"])]
    seen[database].append("part")
    if rule := fault(database, "part"):
        if "cut" in rule:
            return Response(content[: len(content) // 2])
        return broken(rule)
    return Response(content)


async def run(request):
    """Statements for a database of the tests; it is made with the first."""
    name = request.path_params["database"]
    async with one_query:
        connection = fake.shared_fs.connect(name, "PUBLIC")
        for sql in json.loads(await request.body()):
            connection.cursor().execute(sql)
    return JSONResponse({})


async def set_faults(request):
    faults[request.path_params["database"]] = json.loads(await request.body())
    return JSONResponse({})


async def log(request):
    return JSONResponse(seen[request.path_params["database"]])


routes = [
    Route("/session/v1/login-request", login, methods=["POST"]),
    Route("/session", fake.session, methods=["POST"]),
    Route("/queries/v1/query-request", query, methods=["POST"]),
    Route("/queries/{number}/result", poll, methods=["GET"]),
    Route("/_part/{number}", part, methods=["GET"]),
    Route("/_run/{database}", run, methods=["POST"]),
    Route("/_faults/{database}", set_faults, methods=["POST"]),
    Route("/_log/{database}", log, methods=["GET"]),
]


def end_with_the_tests():
    while sys.stdin.read(4096):
        pass
    os._exit(0)


def main():
    global port
    make_keys(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    threading.Thread(target=end_with_the_tests, daemon=True).start()
    print(f"ready {port}", flush=True)
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


main()
