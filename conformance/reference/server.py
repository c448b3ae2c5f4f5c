"""The in-memory backend that the Python package ships for tests, as a server: `server.py HOST:PORT`."""

import sys
import threading
from concurrent import futures

import grpc
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend

server = grpc.server(futures.ThreadPoolExecutor(max_workers=200))
stubs.add_TaskHubSidecarServiceServicer_to_server(InMemoryOrchestrationBackend(), server)
server.add_insecure_port(sys.argv[1])
server.start()
threading.Event().wait()
