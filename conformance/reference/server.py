"""The in-memory backend that the Python package ships for tests, as a server: `server.py HOST:PORT`."""

import sys
import threading
from concurrent import futures

import grpc
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend


class Backend(InMemoryOrchestrationBackend):
    """With what JavaScript needs and Python never asks for: waits without a deadline, and a start time in 1970."""

    def StartInstance(self, request, context):
        if request.scheduledStartTimestamp.seconds == 0:
            request.ClearField("scheduledStartTimestamp")
        return super().StartInstance(request, context)

    def _wait_for_state(self, instance_id, predicate, timeout=None):
        return super()._wait_for_state(instance_id, predicate, timeout=min(timeout or 600, 600))


server = grpc.server(futures.ThreadPoolExecutor(max_workers=200))
stubs.add_TaskHubSidecarServiceServicer_to_server(Backend(), server)
server.add_insecure_port(sys.argv[1])
server.start()
threading.Event().wait()
