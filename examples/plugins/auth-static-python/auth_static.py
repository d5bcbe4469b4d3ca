"""An auth plugin for RAT in Python: who may call is in a file.

    python auth_static.py [--listen unix:/path | host:port] [--tokens FILE] [--proto DIR]

PluginService.HealthCheck and AuthService are what the contract asks for; Describe, grpc.health.v1
and reflection are there because ratd, supervisors and grpcurl like to have them.
"""

import argparse
import hashlib
import hmac
import json
import logging
import pathlib
import signal
import sys
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

HERE = pathlib.Path(__file__).resolve().parent
PLUGIN, AUTH = "rat.plugin.v1.PluginService", "rat.auth.v1.AuthService"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="unix:/tmp/rat-auth-static-python.sock")
    parser.add_argument("--tokens", type=pathlib.Path, default=HERE / "tokens.json")
    parser.add_argument("--proto", type=pathlib.Path, default=HERE / "../../../proto")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")

    # grpcio-tools compiles the contracts here and now: no generated file to keep up to date.
    sys.path.insert(0, str(arguments.proto))
    plugin_pb2, plugin_pb2_grpc = grpc.protos_and_services("plugin/v1/plugin.proto")
    auth_pb2, auth_pb2_grpc = grpc.protos_and_services("auth/v1/auth.proto")

    def users():
        """The users by the SHA-256 of their token; read again for each call, so that edits count."""
        return json.loads(arguments.tokens.read_text())

    class PluginService(plugin_pb2_grpc.PluginServiceServicer):
        def HealthCheck(self, request, context):
            try:
                message = f"{len(users())} tokens"
                return plugin_pb2.HealthCheckResponse(status="healthy", message=message)
            except (OSError, ValueError) as error:
                message = f"cannot read the tokens: {type(error).__name__}"
                return plugin_pb2.HealthCheckResponse(status="down", message=message)

        def Describe(self, request, context):
            return plugin_pb2.DescribeResponse(name="auth-static-python", version="0.1.0", slots=["auth"])

        def Configure(self, request, context):
            # Optional; a plugin that takes the `config` of rat.yaml reads it here, as JSON.
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "the users are in the file of --tokens")

    class AuthService(auth_pb2_grpc.AuthServiceServicer):
        def Authenticate(self, request, context):
            try:
                known = users()
            except (OSError, ValueError):
                # UNAVAILABLE is no answer: ratd does what on_down says instead of answering 401.
                context.abort(grpc.StatusCode.UNAVAILABLE, "the tokens cannot be read")
            digest = hashlib.sha256(request.token.encode()).hexdigest()
            for expected, user in known.items():
                if hmac.compare_digest(digest, expected):
                    return auth_pb2.AuthenticateResponse(**user)
            # Never the token itself: ratd writes this message to its log.
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is not known")

        def Authorize(self, request, context):
            allowed = "admin" in request.roles
            reason = "has the role admin" if allowed else "has not the role admin"
            return auth_pb2.AuthorizeResponse(allowed=allowed, reason=reason)

    # Connections that say nothing are closed after 10 s.
    options = [("grpc.server_handshake_timeout_ms", 10_000)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=options)
    plugin_pb2_grpc.add_PluginServiceServicer_to_server(PluginService(), server)
    auth_pb2_grpc.add_AuthServiceServicer_to_server(AuthService(), server)
    standard = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(standard, server)
    reflection.enable_server_reflection((PLUGIN, AUTH, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    for service in ("", PLUGIN, AUTH):
        standard.set(service, health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(arguments.listen)
    server.start()
    logging.info("serving on %s", arguments.listen)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    logging.info("stopping: calls that are under way may end")
    standard.enter_graceful_shutdown()
    server.stop(grace=10).wait()


if __name__ == "__main__":
    main()
